"""Callbacks that are due at a moment: any number of them on one timer of the event loop."""

import asyncio
import math
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count
from time import monotonic
from typing import Protocol

_MANY = 1024
"""So many cancelled callbacks are kept before it is worth sweeping them out."""


class Owner(Protocol):
    """Whose callbacks they are: `waiting` are those still to come; `failed` is called, in the `except`, when one raises."""

    waiting: "set[Due] | None"

    def failed(self) -> None: ...


class Due:
    """One callback that is due later; `cancel` forgets it, and all that it refers to, at once."""

    __slots__ = ("_timers", "callback", "owner")

    def __init__(self, timers: "Timers", callback: Callable[[], None], owner: Owner) -> None:
        self._timers = timers
        self.callback: Callable[[], None] | None = callback
        self.owner: Owner | None = owner

    def cancel(self) -> None:
        """Forget it; nothing where it has been called back already."""
        if self.owner is not None:
            _forget(self.owner, self)
            self.callback = self.owner = None
            self._timers.cancelled()


class Timers:
    """A heap of what is due, on the clock of `time.monotonic`, which is the loops' own (uvloop rounds it to milliseconds).

    Nothing is called early. What falls due in one millisecond is called in one go, which keeps thousands of paced streams punctual.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._heap: list[tuple[float, int, Due]] = []
        self._numbers = count()
        self._cancelled = 0
        self._wake: asyncio.Handle | None = None
        self._wakes_s = math.inf

    def __len__(self) -> int:
        """How many are kept, cancelled ones that have not been swept out included."""
        return len(self._heap)

    def at(self, moment_s: float, callback: Callable[[], None], owner: Owner) -> Due:
        """Call back at `moment_s`, in the next turn of the loop where that has passed. Callbacks of one moment keep their order."""
        due = Due(self, callback, owner)
        if owner.waiting is None:
            owner.waiting = {due}
        else:
            owner.waiting.add(due)
        heappush(self._heap, (moment_s, next(self._numbers), due))
        if moment_s < self._wakes_s:
            self._arm(moment_s)
        return due

    def cancelled(self) -> None:
        """Another one has been cancelled: sweep when they are most of what is kept."""
        self._cancelled += 1
        if self._cancelled > _MANY and self._cancelled * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].callback is not None]
            heapify(self._heap)
            self._cancelled = 0

    def close(self) -> None:
        """Forget everything."""
        self._heap.clear()
        self._disarm()

    def _arm(self, moment_s: float) -> None:
        self._disarm()
        self._wakes_s = moment_s
        if moment_s <= monotonic():
            self._wake = self._loop.call_soon(self._run)
        else:
            # The next whole millisecond: loops that count in milliseconds would wake up early for a part of one.
            self._wake = self._loop.call_at(math.ceil(moment_s * 1000) / 1000, self._run)

    def _disarm(self) -> None:
        self._wakes_s = math.inf
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None

    def _run(self) -> None:
        self._wake = None
        self._wakes_s = -math.inf  # what is added meanwhile needs no timer of its own
        try:
            for due in self._take_due():
                _call(due)
        finally:
            self._wakes_s = math.inf
            if self._heap:
                self._arm(self._heap[0][0])

    def _take_due(self) -> list[Due]:
        """Those that are due now, and none that they add: the sockets get their turn in between."""
        heap, now_s = self._heap, monotonic()
        taken = []
        while heap and heap[0][0] <= now_s:
            taken.append(heappop(heap)[2])
        return taken


def _call(due: Due) -> None:
    callback, owner = due.callback, due.owner
    if callback is None or owner is None:
        return  # cancelled
    due.callback = due.owner = None
    _forget(owner, due)
    try:
        callback()
    except Exception:  # noqa: BLE001 (whatever a handler's callback raises is that one answer's failure, not the server's)
        owner.failed()


def _forget(owner: Owner, due: Due) -> None:
    if owner.waiting is not None:
        owner.waiting.discard(due)
