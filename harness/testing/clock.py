"""Time that a test moves by hand."""

from __future__ import annotations

from harness.record.clock import NS_PER_S


class FakeClock:
    """A clock that moves only when told to, or when somebody sleeps on it."""

    def __init__(self, now_s: float = 0.0) -> None:
        self._now_ns = round(now_s * NS_PER_S)

    def now_ns(self) -> int:
        return self._now_ns

    def sleep(self, duration_s: float) -> None:
        self.advance(duration_s)

    def advance(self, duration_s: float) -> None:
        """Move forward."""
        self._now_ns += round(max(0.0, duration_s) * NS_PER_S)
