"""The faults in force in one proxy: put, counted, expired, removed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from harness.faults.proxy.toxics import Toxic, ToxicError, make_toxic, number

Direction = Literal["upstream", "downstream"]  # towards the callee; towards the caller
DIRECTIONS: tuple[Direction, ...] = ("upstream", "downstream")


@dataclass(slots=True)
class Entry:
    """A fault in force, and how much it has touched so far: chunks that did not come out as they went in, and their bytes."""

    document: dict[str, Any]
    toxic: Toxic
    directions: tuple[Direction, ...]
    random: Random
    expires_s: float | None
    chunks: int = 0
    bytes: int = 0


class FaultTable:
    """Faults by id, in the order in which they were put. Belongs to one event loop; `clock` gives its seconds."""

    def __init__(self, clock: Callable[[], float], seed: int) -> None:
        self._clock = clock
        self._seed = seed
        self._entries: dict[str, Entry] = {}
        self._active: dict[Direction, tuple[Entry, ...]] = {"upstream": (), "downstream": ()}
        self._watchers: set[Callable[[], None]] = set()

    def active(self, direction: Direction) -> tuple[Entry, ...]:
        """The faults that touch bytes of that direction."""
        return self._active[direction]

    def watch(self, on_removal: Callable[[], None]) -> Callable[[], None]:
        """Be told whenever a fault is taken away; returns how to stop that."""
        self._watchers.add(on_removal)
        return lambda: self._watchers.discard(on_removal)

    def put(self, fault_id: str, document: Mapping[str, Any]) -> float | None:
        """Set a fault, also in the place of one with the same id. Returns its ttl_s, if it has one. Raises ToxicError."""
        parameters = dict(document)
        direction = parameters.pop("direction", "both")
        if direction not in ("both", *DIRECTIONS):
            raise ToxicError(f"direction must be both, upstream or downstream, not {direction!r}")
        ttl_s = parameters.pop("ttl_s", None)
        if ttl_s is not None and number("ttl_s", ttl_s) <= 0:
            raise ToxicError(f"ttl_s must be more than 0, not {ttl_s}")
        self._entries[fault_id] = Entry(
            document=dict(document),
            toxic=make_toxic(parameters),
            directions=DIRECTIONS if direction == "both" else (direction,),
            random=Random(f"{self._seed}:{fault_id}"),  # text is hashed the same way everywhere
            expires_s=None if ttl_s is None else self._clock() + float(ttl_s),
        )
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
        """Each fault as it was put, with its `id`, and the `chunks` and `bytes` it has affected."""
        return [{**entry.document, "id": key, "chunks": entry.chunks, "bytes": entry.bytes} for key, entry in self._entries.items()]

    def _remove(self, ids: list[str]) -> bool:
        found = [key for key in ids if self._entries.pop(key, None) is not None]
        if found:
            self._changed()
            for on_removal in tuple(self._watchers):
                on_removal()
        return bool(found)

    def _changed(self) -> None:
        entries = tuple(self._entries.values())
        self._active = {d: tuple(e for e in entries if d in e.directions) for d in DIRECTIONS}
