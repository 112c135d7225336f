"""Honest token buckets: who waits as long as it was told is admitted."""

import math

_ROUNDING = 1e-6  # of a unit: nobody is refused over float arithmetic


class TokenBucket:
    """Gives out `per_s` units a second on average, and `burst` at once; full at first. Times are monotonic seconds.

    A clock that goes backwards gives nothing and takes nothing.
    """

    __slots__ = ("_available", "_seen_s", "burst", "per_s")

    def __init__(self, per_s: float, burst: float) -> None:
        """Raises ValueError unless both are positive and finite."""
        for name, value in (("per_s", per_s), ("burst", burst)):
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be more than 0, not {value:g}")
        self.per_s = per_s
        self.burst = burst
        self._available = burst
        self._seen_s = -math.inf

    def wait_s(self, units: float, now_s: float) -> float:
        """How long until `units` would be admitted: 0 now, inf where they are more than the bucket ever holds. Takes nothing."""
        available = self._fill(now_s)
        if available >= units - _ROUNDING:
            return 0.0
        return math.inf if units > self.burst else (units - available) / self.per_s

    def take(self, units: float, now_s: float) -> float:
        """Admit `units` and return 0, or take nothing and return how long to wait (`wait_s`)."""
        wait_s = self.wait_s(units, now_s)
        if wait_s == 0:
            self._available = max(0.0, self._available - units)
        return wait_s

    def drain(self, now_s: float) -> None:
        """Somebody else takes all that is there."""
        self._fill(now_s)
        self._available = 0.0

    def remaining(self, now_s: float) -> int:
        """Whole units that would be admitted now."""
        return int(self._fill(now_s) + _ROUNDING)

    def reset_s(self, now_s: float) -> float:
        """How long until the bucket is full again."""
        return (self.burst - self._fill(now_s)) / self.per_s

    def _fill(self, now_s: float) -> float:
        if now_s > self._seen_s:
            self._available = min(self.burst, self._available + (now_s - self._seen_s) * self.per_s)
            self._seen_s = now_s
        return self._available


def spell_duration(seconds: float) -> str:
    """A duration as OpenAI's headers and messages write it, rounded up: `12ms`, `1s`, `6m0s`."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1_000)}ms"
    minutes, rest = divmod(math.ceil(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
