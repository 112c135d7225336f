"""SIGINT and SIGTERM set a flag; the run ends in order, healing first."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass(slots=True)
class Interruption:
    """The name of the first signal received, if any."""

    signal: str | None = None


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Within the block, the first SIGINT or SIGTERM is noted rather than raised; handlers are put back afterwards."""
    seen = Interruption()

    def note(number: int, _frame: FrameType | None) -> None:
        if seen.signal is None:
            seen.signal = signal.Signals(number).name

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield seen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
