"""Is the generator itself well? Evidence for the validity of a run: lags, its own CPU share, and what the machine's host took away."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import psutil
from numpy.typing import NDArray

from harness.record.clock import NS_PER_S, Clock

_NS_PER_MS = 1_000_000
_GROWTH = 1.02  # of one histogram bucket over the one before: quantiles are exact to 2 %
_SMALLEST_MS = 0.01


@dataclass(slots=True)
class LagHistogram:
    """Lags in bounded memory. Quantiles are upper bucket borders: at most 2 % too large."""

    counts: dict[int, int] = field(default_factory=dict)
    max_ms: float = 0.0

    def add(self, lags_ns: NDArray[np.int64]) -> None:
        """Many at once."""
        if not len(lags_ns):
            return
        lags_ms = np.maximum(lags_ns, 0) / _NS_PER_MS
        self.max_ms = max(self.max_ms, float(lags_ms.max()))
        buckets = np.ceil(np.log(np.maximum(lags_ms, _SMALLEST_MS) / _SMALLEST_MS) / math.log(_GROWTH)).astype(int)
        counts = np.bincount(buckets)
        for bucket in np.flatnonzero(counts).tolist():
            self.counts[bucket] = self.counts.get(bucket, 0) + int(counts[bucket])

    @property
    def total(self) -> int:
        """How many there are."""
        return sum(self.counts.values())

    def quantile_ms(self, q: float) -> float:
        """0 of nothing."""
        rank = q * self.total
        seen = 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= rank:
                return min(self.max_ms, _SMALLEST_MS * _GROWTH**bucket)
        return 0.0


class DispatchLag:
    """How late requests started, for the last second and for the whole run."""

    def __init__(self) -> None:
        self.run = LagHistogram()
        self._recent = LagHistogram()

    def add(self, lags_ns: NDArray[np.int64]) -> None:
        self.run.add(lags_ns)
        self._recent.add(lags_ns)

    def take(self) -> LagHistogram:
        """The lags since the last call."""
        recent, self._recent = self._recent, LagHistogram()
        return recent


class CpuMeter:
    """Share of one core that this process used, and share of the machine that its host took away (steal), between two readings."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._process = psutil.Process()
        self._last = self._read()

    def read(self) -> tuple[float, float]:
        """(cpu_ratio, steal_ratio) since the last reading."""
        before, now = self._last, self._read()
        self._last = now
        wall_s = max(now[0] - before[0], 1e-9)
        machine_s = max(now[2] - before[2], 1e-9)
        return (now[1] - before[1]) / wall_s, (now[3] - before[3]) / machine_s

    def _read(self) -> tuple[float, float, float, float]:
        own = self._process.cpu_times()
        machine = psutil.cpu_times()
        steal_s = getattr(machine, "steal", 0.0)  # Linux only
        return self._clock.now_ns() / NS_PER_S, own.user + own.system, sum(machine), steal_s
