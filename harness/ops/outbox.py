"""Alerts on their way: kept in order until they are received. Who is not heard has said nothing, so it goes on saying it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 2.0
MOST_KEPT = 1000
"""Of the oldest, more are given up: a receiver that is down for hours wants to know what is firing now."""

Deliver = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Posts a body once; returns the answer. Raises LostError where it may be received another time."""


class LostError(Exception):
    """Nobody has received it: not reached, too late, or an error of the receiver's own."""


class Outbox:
    """Delivers in a thread of its own: a receiver that hangs keeps nobody from watching."""

    def __init__(self, deliver: Deliver, told: Callable[[Mapping[str, Any], Mapping[str, Any]], None]) -> None:
        """`told(body, answer)` is called for what was received, and once for what is received late, when that begins."""
        self._deliver = deliver
        self._told = told
        self._waiting: deque[Mapping[str, Any]] = deque(maxlen=MOST_KEPT)
        self._changed = threading.Condition()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
        self._thread.start()

    def put(self, body: Mapping[str, Any], patience_s: float) -> None:
        """Have it delivered, after all that waits already; returns when it is, or after `patience_s`."""
        with self._changed:
            self._waiting.append(body)
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._waiting, patience_s)

    def close(self, patience_s: float) -> int:
        """Give what waits so many seconds more; returns how much of it nobody has received."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting, patience_s)
            left = len(self._waiting)
        self._ended.set()
        with self._changed:
            self._changed.notify_all()
        return left

    def _run(self) -> None:
        pause_s = 0.0
        while not self._ended.wait(pause_s):
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ended.is_set())
                if not self._waiting:
                    return
                body = self._waiting[0]
            try:
                answer = self._deliver(body)
            except LostError as error:
                if not pause_s:
                    self._told(body, {"error": f"{error}; it is kept, and said again"})
                pause_s = min(LONGEST_PAUSE_S, 2 * pause_s or FIRST_PAUSE_S)
                continue
            pause_s = 0.0
            self._told(body, answer)
            with self._changed:
                if self._waiting and self._waiting[0] is body:  # unless it has been given up meanwhile
                    self._waiting.popleft()
                self._changed.notify_all()
