"""The faults in force in one proxy: put, counted, expired, removed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

from harness.faults.proxy.http_toxics import HttpToxic
from harness.faults.proxy.piece import Toxic, ToxicError
from harness.faults.proxy.toxics import make_toxic, number

Direction = Literal["upstream", "downstream"]  # towards the callee; towards the caller
DIRECTIONS: tuple[Direction, ...] = ("upstream", "downstream")


@dataclass(slots=True, eq=False)
class Entry:
    """A fault in force, and how much it has touched so far.

    Counted are `connections`, `chunks` that did not come out as they went in and their `bytes`, and for faults of HTTP `requests`.
    """

    document: dict[str, Any]
    random: Random
    expires_s: float | None
    toxics: dict[Direction, Toxic] = field(default_factory=dict)  # one a direction, for what its connections share
    http: HttpToxic | None = None
    connections: int = 0
    chunks: int = 0
    bytes: int = 0
    requests: int = 0

    def counts(self) -> dict[str, int]:
        """What it has touched."""
        if self.http is not None:
            return {"requests": self.requests}
        return {"connections": self.connections, "chunks": self.chunks, "bytes": self.bytes}


class FaultTable:
    """Faults by id, in the order in which they were put. Belongs to one event loop; `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float], seed: int) -> None:
        self._clock = clock
        self._seed = seed
        self._entries: dict[str, Entry] = {}
        self._active: dict[Direction, tuple[Entry, ...]] = {"upstream": (), "downstream": ()}
        self._watchers: dict[Callable[[], None], None] = {}
        self.http: tuple[Entry, ...] = ()
        """Those of requests."""

    @property
    def deaf(self) -> bool:
        """Whether new connections are not to be taken."""
        return any(toxic.deaf for entry in self._entries.values() for toxic in entry.toxics.values())

    def active(self, direction: Direction) -> tuple[Entry, ...]:
        """The faults that touch bytes of that direction."""
        return self._active[direction]

    def watch(self, on_change: Callable[[], None]) -> Callable[[], None]:
        """Be told whenever a fault comes or goes; returns how to stop that."""
        self._watchers[on_change] = None
        return lambda: self._watchers.pop(on_change, None)

    def put(self, fault_id: str, document: Mapping[str, Any]) -> float | None:
        """Set a fault, also in the place of one with the same id. Returns its ttl_s, if it has one. Raises ToxicError."""
        parameters = dict(document)
        direction = parameters.pop("direction", "both")
        if direction not in ("both", *DIRECTIONS):
            raise ToxicError(f"direction must be both, upstream or downstream, not {direction!r}")
        ttl_s = parameters.pop("ttl_s", None)
        if ttl_s is not None and number("ttl_s", ttl_s) <= 0:
            raise ToxicError(f"ttl_s must be more than 0, not {ttl_s}")
        entry = Entry(
            document=dict(document),
            random=Random(f"{self._seed}:{fault_id}"),  # text is hashed the same way everywhere
            expires_s=None if ttl_s is None else self._clock() + float(ttl_s),
        )
        for one in DIRECTIONS if direction == "both" else (direction,):
            toxic = make_toxic(parameters)
            if isinstance(toxic, HttpToxic):
                entry.http = toxic
            else:
                entry.toxics[one] = toxic
        self._entries[fault_id] = entry
        self._changed()
        return None if ttl_s is None else float(ttl_s)

    def remove(self, fault_id: str) -> bool:
        """Take a fault away; bytes that it still holds back leave as the others demand."""
        return self._remove([fault_id])

    def clear(self) -> None:
        """Take all faults away."""
        self._remove(list(self._entries))

    def expire(self) -> None:
        """Take away what has outlived its ttl_s."""
        now_s = self._clock()
        self._remove([key for key, entry in self._entries.items() if entry.expires_s is not None and entry.expires_s <= now_s])

    def view(self) -> list[dict[str, Any]]:
        """Each fault as it was put, with its `id` and its counts."""
        return [{**entry.document, "id": key, **entry.counts()} for key, entry in self._entries.items()]

    def _remove(self, ids: list[str]) -> bool:
        found = [key for key in ids if self._entries.pop(key, None) is not None]
        if found:
            self._changed()
        return bool(found)

    def _changed(self) -> None:
        entries = tuple(self._entries.values())
        self._active = {d: tuple(e for e in entries if d in e.toxics) for d in DIRECTIONS}
        self.http = tuple(entry for entry in entries if entry.http is not None)
        for on_change in tuple(self._watchers):
            on_change()
