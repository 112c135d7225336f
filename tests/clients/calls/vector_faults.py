"""How faults of a vector store surface in its client: each case has a collection of its own, which alone its fault concerns."""

from __future__ import annotations

import importlib
import json
from functools import partial
from typing import Any, Protocol

from faulting import Admin, Said, many_at_once, timed
from told import arguments


class Store(Protocol):
    """A product's client on one collection that `filled` has made (`vector_faults_qdrant`, `vector_faults_chroma`)."""

    def query(self) -> Said:
        """The search of `vector_points`."""
        ...

    def write(self) -> Said:
        """Add the new point; `{"wrote"}`: what the client returns."""
        ...

    def holds(self) -> bool:
        """Whether the new point is there."""
        ...

    def probe(self) -> bool:
        """Whether the service answers a probe."""
        ...

    def fetched_again(self) -> Said:
        """The search, through a handle that is fetched anew."""
        ...


def become(asked: dict[str, Any], admin: Admin, name: str, case: dict[str, Any]) -> Said:
    """Fill, break, call. `hits` is how many requests the fault concerned until then; a `standing` one concerns everybody.

    Where the case wants it: `again` for a second call while the fault is in force, `probe` beside one through a handle fetched anew;
    of a write, `holds` of a look once the fault has ended.
    """
    collection = name.replace("_", "-")
    store: Store = importlib.import_module(f"vector_faults_{asked['product']}").filled(asked, collection, pooled=case["pooled"])
    admin.begin(name, case["fault"], **({} if case["standing"] else {"collections": [collection]}))
    write = case["call"] == "write"
    said = timed(store.write if write else store.query, asked["patience_s"])
    said["hits"] = admin.hits(name)
    if case["again"] is not None:
        said["again"] = timed(store.fetched_again if case["again"] == "fetched" else store.query, asked["patience_s"])
    if case["again"] == "fetched":
        said["probe"] = store.probe()
    admin.end(name)
    return said | ({"holds": store.holds()} if write else {})


def main() -> None:
    asked = arguments()
    one = partial(become, asked, Admin(asked))
    alone = {name: case for name, case in asked["cases"].items() if case["standing"]}
    found = many_at_once({name: case for name, case in asked["cases"].items() if name not in alone}, one)
    print(json.dumps({**found, **{name: one(name, case) for name, case in alone.items()}}))


if __name__ == "__main__":
    main()
