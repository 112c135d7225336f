"""One callback at a moment of `time.monotonic`, never before it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from time import monotonic


class Alarm:
    """Set to one moment at a time.

    The loops' own timers will not do: uvloop's clock has whole milliseconds and stands still during a turn of the loop, so that a delay
    can end a millisecond early. Here a turn that comes early waits for the next millisecond.
    """

    __slots__ = ("_call", "_due_s", "_loop", "_timer")

    def __init__(self, call: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._call = call
        self._due_s = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def set(self, due_s: float) -> None:
        """Call at `due_s`, and not when it was set for before; infinity: not at all."""
        if due_s == self._due_s and self._timer is not None:
            return
        self.cancel()
        if due_s < math.inf:
            self._due_s = due_s
            self._wait(monotonic())

    def cancel(self) -> None:
        """Do not call; idempotent."""
        self._due_s = math.inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self, now_s: float) -> None:
        # Whole milliseconds on both sides: the loop counts them from where its own clock's last one began.
        wait_ms = max(0, math.ceil(self._due_s * 1000) - math.floor(now_s * 1000))
        self._timer = self._loop.call_later(wait_ms / 1000, self._run)

    def _run(self) -> None:
        now_s = monotonic()
        if now_s < self._due_s:
            self._wait(now_s)
            return
        self._timer, self._due_s = None, math.inf
        self._call()
