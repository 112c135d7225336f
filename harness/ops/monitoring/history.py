"""What was read, kept as long as is wanted in bounded memory: raw for a quarter of an hour, by the minute for two hours, by ten
minutes for a day, then by the hour.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from harness.ops.monitoring.sketch import Sketch

RAW_S = 900.0
RAW_MOST = 2_000
MINUTE_S, TEN_MINUTES_S, HOUR_S, DAY_S = 60.0, 600.0, 3600.0, 86_400.0
MINUTES_S = 2 * HOUR_S
MOST_SERIES = 10_000
_TRIM = 256  # values that are past, before they are removed together


@dataclass(frozen=True, slots=True)
class Summary:
    """A window of one series. Percentiles are exact where the window is raw, else within 2 %."""

    count: int
    mean: float
    total: float
    minimum: float
    maximum: float
    p50: float
    p95: float
    p99: float
    exact: bool


@dataclass(slots=True)
class _Bucket:
    """Values of one span. `packed`: nothing is added any more."""

    start_s: float
    count: int = 0
    total: float = 0.0
    minimum: float = math.inf
    maximum: float = -math.inf
    grown: float = 0.0
    sketch: Sketch | None = field(default_factory=Sketch)
    packed: bytes = b""

    def add(self, value: float, grown: float) -> None:
        assert self.sketch is not None
        self.count += 1
        self.total += value
        self.minimum, self.maximum = min(self.minimum, value), max(self.maximum, value)
        self.grown += grown
        self.sketch.add(value)

    def pack(self) -> None:
        assert self.sketch is not None
        self.packed, self.sketch = self.sketch.to_bytes(), None

    def counted(self) -> Sketch:
        return self.sketch if self.sketch is not None else Sketch.from_bytes(self.packed)


@dataclass(slots=True)
class _Tier:
    """Buckets of one width, as far back as `keep_s`."""

    width_s: float
    keep_s: float
    buckets: deque[_Bucket] = field(default_factory=deque)

    def add(self, t_s: float, value: float, grown: float) -> None:
        start_s = t_s - t_s % self.width_s
        if not self.buckets or self.buckets[-1].start_s != start_s:
            if self.buckets:
                self.buckets[-1].pack()
            self.buckets.append(_Bucket(start_s))
        self.buckets[-1].add(value, grown)
        while self.buckets[0].start_s < t_s - self.keep_s - self.width_s:
            self.buckets.popleft()

    def holds(self, since_s: float, first_s: float) -> bool:
        """Everything from `since_s` on, of a series that began at `first_s`."""
        return bool(self.buckets) and self.buckets[0].start_s <= max(since_s, first_s)


class Series:
    """One series: several resolutions side by side, each forgetting on its own."""

    def __init__(self, keep_s: float) -> None:
        self._times, self._values, self._start = array("d"), array("d"), 0
        self._first_s = math.nan
        spans = [(MINUTE_S, MINUTES_S), (TEN_MINUTES_S, DAY_S), (HOUR_S, keep_s)]
        self._tiers = [_Tier(width_s, min(keep_s, most_s)) for width_s, most_s in spans if width_s == MINUTE_S or keep_s > width_s * 60]

    def add(self, t_s: float, value: float) -> None:
        """A value that is not finite, or not later than the last, is not kept."""
        if not math.isfinite(value) or (self._times and t_s <= self._times[-1]):
            return
        if not self._times:
            self._first_s = t_s
        before = self._values[-1] if self._values else value
        grown = value - before if value >= before else value
        self._times.append(t_s)
        self._values.append(value)
        while self._times[self._start] < t_s - RAW_S or len(self._times) - self._start > RAW_MOST:
            self._start += 1
        if self._start > _TRIM:
            del self._times[: self._start], self._values[: self._start]
            self._start = 0
        for tier in self._tiers:
            tier.add(t_s, value, grown)

    def summary(self, t_s: float, window_s: float) -> Summary | None:
        """Over the last `window_s`; None where nothing was read. Beyond the raw part, whole buckets that reach into the window count."""
        raw = self._raw_points(t_s, window_s)
        if raw is not None:
            values = np.array([value for _, value in raw])
            if not len(values):
                return None
            p50, p95, p99 = (float(p) for p in np.quantile(values, (0.5, 0.95, 0.99)))
            return Summary(
                len(values), float(values.mean()), float(values.sum()), float(values.min()), float(values.max()), p50, p95, p99, True
            )
        buckets = list(self._buckets(t_s, window_s))
        if not buckets:
            return None
        whole = Sketch()
        for bucket in buckets:
            whole.merge(bucket.counted())
        count, total = whole.count, sum(bucket.total for bucket in buckets)
        low, high = min(bucket.minimum for bucket in buckets), max(bucket.maximum for bucket in buckets)
        p50, p95, p99 = (min(max(whole.quantile(q), low), high) for q in (0.5, 0.95, 0.99))
        return Summary(count, total / count, total, low, high, p50, p95, p99, False)

    def rate_per_s(self, t_s: float, window_s: float) -> float | None:
        """Growth of a counter per second over the window; a reset counts from zero. None with fewer than two values."""
        raw = self._raw_points(t_s, window_s)
        if raw is not None:
            if len(raw) < 2:
                return None
            grown = sum(b - a if b >= a else b for (_, a), (_, b) in pairwise(raw))
            return grown / (raw[-1][0] - raw[0][0])
        buckets = list(self._buckets(t_s, window_s))
        covered_s = t_s - buckets[0].start_s if buckets else 0.0
        return sum(b.grown for b in buckets) / covered_s if covered_s > 0 else None

    def points(self, t_s: float, window_s: float, most: int = 500) -> list[tuple[float, float]]:
        """Times and values, or means of buckets; never more than `most`."""
        raw = self._raw_points(t_s, window_s)
        found = raw if raw is not None else [(b.start_s, b.total / b.count) for b in self._buckets(t_s, window_s)]
        return found[:: max(1, math.ceil(len(found) / most))]

    def _raw_points(self, t_s: float, window_s: float) -> list[tuple[float, float]] | None:
        """None where the window reaches further back than what is raw."""
        since_s = t_s - window_s
        if not self._times or self._times[self._start] > max(since_s, self._first_s):
            return None if self._times else []
        at = bisect_left(self._times, since_s, lo=self._start)
        return list(zip(self._times[at:], self._values[at:], strict=True))

    def _buckets(self, t_s: float, window_s: float) -> Iterator[_Bucket]:
        """Of the finest tier that reaches as far back, or of the coarsest."""
        since_s = t_s - window_s
        tier = next((one for one in self._tiers if one.holds(since_s, self._first_s)), self._tiers[-1])
        yield from (bucket for bucket in tier.buckets if bucket.start_s + tier.width_s > since_s)


class History:
    """Series by key. Their number is bounded; what came too late is counted in `refused`."""

    def __init__(self, keep_s: float = DAY_S, most: int = MOST_SERIES) -> None:
        self._keep_s, self._most = keep_s, most
        self._series: dict[str, Series] = {}
        self.refused = 0

    def add(self, t_s: float, key: str, value: float) -> None:
        """One value. Times are seconds of the caller's clock, and must grow."""
        series = self._series.get(key)
        if series is None:
            if len(self._series) >= self._most:
                self.refused += 1
                return
            series = self._series[key] = Series(self._keep_s)
        series.add(t_s, value)

    def __getitem__(self, key: str) -> Series:
        return self._series[key]

    def __contains__(self, key: str) -> bool:
        return key in self._series

    def keys(self) -> Sequence[str]:
        """Sorted."""
        return sorted(self._series)
