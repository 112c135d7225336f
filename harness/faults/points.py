"""Points of a vector store, as faults of data read, put and remove them: through the interface of the product, Qdrant's or Chroma's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from harness.faults.base import FaultError
from harness.faults.http_look import Answer, LookError, ask
from harness.record.clock import Clock
from harness.record.provider import OWN_USER_AGENT
from harness.stack.base import PointsAt

PAGE = 64
"""Points a request: half a megabyte with the vectors of this stack."""
TIMEOUT_S = 5.0
TEXT = "text"
_MISSING = 404


@dataclass(frozen=True, slots=True)
class Record:
    """One point. `labels` are its payload (Qdrant) or metadata (Chroma) without the text; `vector` is empty where it was not asked for."""

    id: str
    vector: tuple[float, ...]
    text: str
    labels: Mapping[str, Any]

    @property
    def doc_id(self) -> str:
        return str(self.labels.get("doc_id", ""))

    @property
    def revision(self) -> int:
        return int(self.labels.get("revision", 0))


class Collection(Protocol):
    """One collection. All methods raise FaultError when the store does not answer, or refuses."""

    def exists(self) -> bool: ...

    def create(self, dimensions: int) -> None:
        """Make it; harmless when it is there."""
        ...

    def drop(self) -> None:
        """Remove it with all that it holds; harmless when it is gone."""
        ...

    def read(self, doc_ids: Sequence[str] | None = None, vectors: bool = True) -> list[Record]:
        """The points of these documents; None: of all."""
        ...

    def put(self, records: Sequence[Record]) -> None:
        """Write points; visible to everybody when it returns."""
        ...

    def remove(self, ids: Sequence[str]) -> None: ...


class _Store:
    """Calls to the store, in the product's own words."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._url = url
        self._clock = clock

    def call(self, method: str, path: str, body: Any = None, accept: tuple[int, ...] = ()) -> Answer:
        headers = {"user-agent": OWN_USER_AGENT}
        try:
            answer = ask(self._url + path, self._clock, method=method, headers=headers, body=body, timeout_s=TIMEOUT_S)
        except LookError as error:
            raise FaultError(f"the vector store: {error}") from error
        if answer.status >= 300 and answer.status not in accept:
            raise FaultError(f"the vector store: {method} {path}: status {answer.status}: {answer.body[:200].decode(errors='replace')}")
        return answer

    def json(self, method: str, path: str, body: Any = None) -> Any:
        try:
            return self.call(method, path, body).json()
        except LookError as error:
            raise FaultError(f"the vector store: {error}") from error


class QdrantCollection:
    """`Collection` over Qdrant's REST interface."""

    def __init__(self, url: str, name: str, clock: Clock) -> None:
        self._store = _Store(url, clock)
        self._path = f"/collections/{name}"

    def exists(self) -> bool:
        return self._store.call("GET", self._path, accept=(_MISSING,)).status != _MISSING

    def create(self, dimensions: int) -> None:
        if not self.exists():
            self._store.call("PUT", self._path, {"vectors": {"size": dimensions, "distance": "Cosine"}})

    def drop(self) -> None:
        self._store.call("DELETE", self._path, accept=(_MISSING,))

    def read(self, doc_ids: Sequence[str] | None = None, vectors: bool = True) -> list[Record]:
        found: list[Record] = []
        asked: dict[str, Any] = {"limit": PAGE, "with_payload": True, "with_vector": vectors}
        if doc_ids is not None:
            asked["filter"] = {"must": [{"key": "doc_id", "match": {"any": list(doc_ids)}}]}
        while True:
            page = self._store.json("POST", f"{self._path}/points/scroll", asked)["result"]
            found += [_from_qdrant(point) for point in page["points"]]
            if page.get("next_page_offset") is None:
                return found
            asked["offset"] = page["next_page_offset"]

    def put(self, records: Sequence[Record]) -> None:
        for batch in _pages(records):
            points = [{"id": one.id, "vector": list(one.vector), "payload": {**one.labels, TEXT: one.text}} for one in batch]
            self._store.call("PUT", f"{self._path}/points?wait=true", {"points": points})

    def remove(self, ids: Sequence[str]) -> None:
        for batch in _pages(ids):
            self._store.call("POST", f"{self._path}/points/delete?wait=true", {"points": list(batch)})


def _from_qdrant(point: Mapping[str, Any]) -> Record:
    payload = dict(point.get("payload") or {})
    text = str(payload.pop(TEXT, ""))
    return Record(str(point["id"]), tuple(point.get("vector") or ()), text, payload)


class ChromaCollection:
    """`Collection` over Chroma's REST interface, version 2, in its default tenant and database. Its id is looked up each time."""

    collections = "/api/v2/tenants/default_tenant/databases/default_database/collections"

    def __init__(self, url: str, name: str, clock: Clock) -> None:
        self._store = _Store(url, clock)
        self._name = name

    def exists(self) -> bool:
        return self._store.call("GET", f"{self.collections}/{self._name}", accept=(_MISSING,)).status != _MISSING

    def create(self, dimensions: int) -> None:  # noqa: ARG002 - follows from the first vector
        wanted = {"name": self._name, "configuration": {"hnsw": {"space": "cosine"}}, "get_or_create": True}
        self._store.call("POST", self.collections, wanted)

    def drop(self) -> None:
        self._store.call("DELETE", f"{self.collections}/{self._name}", accept=(_MISSING,))

    def read(self, doc_ids: Sequence[str] | None = None, vectors: bool = True) -> list[Record]:
        found: list[Record] = []
        include = ["documents", "metadatas", *(("embeddings",) if vectors else ())]
        asked: dict[str, Any] = {"limit": PAGE, "include": include}
        if doc_ids is not None:
            asked["where"] = {"doc_id": {"$in": list(doc_ids)}}
        path = f"{self._path()}/get"
        while True:
            page = self._store.json("POST", path, {**asked, "offset": len(found)})
            records = list(_from_chroma(page, vectors))
            found += records
            if len(records) < PAGE:
                return found

    def put(self, records: Sequence[Record]) -> None:
        path = f"{self._path()}/upsert"
        for batch in _pages(records):
            body = {
                "ids": [one.id for one in batch],
                "embeddings": [list(one.vector) for one in batch],
                "documents": [one.text for one in batch],
                "metadatas": [dict(one.labels) for one in batch],
            }
            self._store.call("POST", path, body)

    def remove(self, ids: Sequence[str]) -> None:
        path = f"{self._path()}/delete"
        for batch in _pages(ids):
            self._store.call("POST", path, {"ids": list(batch)})

    def _path(self) -> str:
        return f"{self.collections}/{self._store.json('GET', f'{self.collections}/{self._name}')['id']}"


def _from_chroma(page: Mapping[str, Any], vectors: bool) -> Iterator[Record]:
    embeddings = page["embeddings"] if vectors else [()] * len(page["ids"])
    for id_, text, labels, vector in zip(page["ids"], page["documents"], page["metadatas"], embeddings, strict=True):
        yield Record(str(id_), tuple(vector), str(text), dict(labels or {}))


def _pages(things: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (things[start : start + PAGE] for start in range(0, len(things), PAGE))


def collections_of(at: PointsAt, clock: Clock) -> list[str]:
    """Names of all that the store has. Raises FaultError."""
    store = _Store(at.url, clock)
    if at.product == "qdrant":
        return [str(one["name"]) for one in store.json("GET", "/collections")["result"]["collections"]]
    return [str(one["name"]) for one in store.json("GET", ChromaCollection.collections)]


_PRODUCTS: Mapping[str, Callable[[str, str, Clock], Collection]] = {"qdrant": QdrantCollection, "chroma": ChromaCollection}


def collection(at: PointsAt, clock: Clock, name: str | None = None) -> Collection:
    """The one at that place, or another one beside it. Raises FaultError for a product that is not known."""
    if at.product not in _PRODUCTS:
        raise FaultError(f"no such vector store: {at.product!r}; known: {', '.join(_PRODUCTS)}")
    return _PRODUCTS[at.product](at.url, name or at.collection, clock)
