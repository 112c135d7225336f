"""Time. The only module that reads a clock, so that everything else can be tested with a fake one."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

NS_PER_S = 1_000_000_000


class Clock(Protocol):
    """Monotonic nanoseconds, comparable between the processes of one Linux host (CLOCK_MONOTONIC)."""

    def now_ns(self) -> int:
        """Nanoseconds since an arbitrary point that all processes of this host share."""
        ...

    def sleep(self, duration_s: float) -> None:
        """Wait; a fake clock moves forward instead."""
        ...


class SystemClock:
    """The host's clock."""

    def now_ns(self) -> int:
        return time.monotonic_ns()

    def sleep(self, duration_s: float) -> None:
        time.sleep(max(0.0, duration_s))


@dataclass(frozen=True, slots=True)
class WallAnchor:
    """One pair of wall-clock and monotonic time: enough to print any monotonic time of the run as a date."""

    utc: str
    t_ns: int

    def at(self, t_ns: int) -> datetime:
        """The UTC date of a monotonic time of the same host."""
        anchor = datetime.fromisoformat(self.utc)
        return datetime.fromtimestamp(anchor.timestamp() + (t_ns - self.t_ns) / NS_PER_S, tz=UTC)


def wall_anchor() -> WallAnchor:
    """Read both clocks at once."""
    return WallAnchor(utc=datetime.now(tz=UTC).isoformat(), t_ns=time.monotonic_ns())


def utc_now() -> datetime:
    """The wall clock, for names of directories and dates in reports; never for durations."""
    return datetime.now(tz=UTC)
