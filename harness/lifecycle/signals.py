"""SIGINT, SIGTERM and SIGHUP set a flag; the run ends in order, healing first."""

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
    """Within the block the first signal is noted rather than raised, and further ones change nothing; handlers are put back afterwards.

    SIGHUP (the terminal is closed) stays ignored where the caller ignores it, as under nohup.
    """
    seen = Interruption()

    def note(number: int, _frame: FrameType | None) -> None:
        if seen.signal is None:
            seen.signal = signal.Signals(number).name

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield seen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
