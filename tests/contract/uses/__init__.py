"""One use of every fault of the catalogue, a file a family: what the contract tests inject. A new fault needs a row in `USES` there.

A row holds what a scenario would say (`target`, `with`, `for`, `instances`), and what the test needs besides:

    "stack":   options of `stack:` in a scenario, where the default stack cannot take the fault: {"vector_store": "qdrant"}
    "real":    True where the tiny stand-ins will not do: the fault asks a real PostgreSQL, Redis or service something
    "packets": another edge on stacks whose instances have networks of their own: one that no other row wants a proxy on, so that rules act
    "traffic": who asks meanwhile, for a fault that hits nobody has no effect: "search", "ask", "ingest" (through the gateway),
               "chat", "embed" (at the provider), "store" (at the vector store); a tuple for several. Rows of `llm.*` have "chat",
               of `embedding.*` "embed", of `vector.*` "store" unless they say otherwise
    "mock":    True where a mock plays all of it by itself: it is the same process on every stack of processes, so that the tiny one will do
    "leaves":  True for a benign change that is taken back like any fault
    "root":    True where only root can do it; the test is skipped for anybody else, and says so
    "skip":    a reason why no stack here can take it

Which stacks it runs on is what `gauntlet check` says they can take.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

_OWN = ("stack", "real", "traffic", "root", "skip", "mock", "leaves", "packets")
_CALLERS = {"llm": ("chat",), "embedding": ("embed",), "vector": ("store",)}


@dataclass(frozen=True)
class Use:
    """One row: an entry of a scenario's `faults`, and what the test needs for it."""

    entry: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    real: bool = False
    traffic: tuple[str, ...] = ()
    root: bool = False
    skip: str = ""
    mock: bool = False
    leaves: bool = False
    packets: str | None = None

    def entry_in(self, capabilities: frozenset[str]) -> Mapping[str, Any]:
        """The entry on a stack with these capabilities."""
        return {**self.entry, "target": self.packets} if self.packets and "Networked" in capabilities else self.entry


def _read(name: str, row: Mapping[str, Any]) -> Use:
    entry = {"id": "contract", "type": name, "for": "30s", **{key: value for key, value in row.items() if key not in _OWN}}
    traffic = row.get("traffic", _CALLERS.get(name.partition(".")[0], ()))
    return Use(
        entry,
        row.get("stack", {}),
        bool(row.get("real", False)),
        (traffic,) if isinstance(traffic, str) else tuple(traffic),
        bool(row.get("root", False)),
        str(row.get("skip", "")),
        bool(row.get("mock", False)),
        bool(row.get("leaves", False)),
        row.get("packets"),
    )


USES: dict[str, Use] = {
    name: _read(name, row) for family in iter_modules(__path__) for name, row in import_module(f"{__name__}.{family.name}").USES.items()
}
