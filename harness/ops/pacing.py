"""Rounds at a fixed pace."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from harness.record.clock import NS_PER_S, Clock


def paced(period_s: float, ended: threading.Event, clock: Clock) -> Iterator[None]:
    """Once each `period_s` until `ended` is set; a round that overran is followed by the next at once."""
    period_ns = round(period_s * NS_PER_S)
    due_ns = clock.now_ns()
    while not ended.is_set():
        yield
        due_ns = max(due_ns + period_ns, clock.now_ns())
        ended.wait((due_ns - clock.now_ns()) / NS_PER_S)
