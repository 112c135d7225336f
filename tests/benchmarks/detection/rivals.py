"""Detectors to compare with: the simplest ideas of the field."""

from __future__ import annotations

import math
from collections import deque


class RecordExceedance:
    """How far beyond everything so far, in units of the range so far."""

    def __init__(self) -> None:
        self._low, self._high, self._count = math.inf, -math.inf, 0

    def update(self, t_s: float, value: float) -> float:
        if not math.isfinite(value):
            return 0.0
        beyond = max(value - self._high, self._low - value) if self._count else 0.0
        span = self._high - self._low if self._count else 0.0
        self._low, self._high, self._count = min(self._low, value), max(self._high, value), self._count + 1
        if beyond <= 0 or self._count < 100:
            return 0.0
        return beyond / (beyond + 0.3 * span) if span > 0 else 1.0


class WindowedGaussian:
    """Two-sided tail probability under the mean and deviation of the last `size` values."""

    def __init__(self, size: int = 500) -> None:
        self._values: deque[float] = deque(maxlen=size)
        self._sum = self._squares = 0.0

    def update(self, t_s: float, value: float) -> float:
        if not math.isfinite(value):
            return 0.0
        n, score = len(self._values), 0.0
        if n >= 50:
            mean = self._sum / n
            deviation = math.sqrt(max(self._squares / n - mean * mean, 1e-12 * (1 + mean * mean)))
            score = math.erf(abs(value - mean) / deviation / math.sqrt(2))
        if n == self._values.maxlen:
            gone = self._values[0]
            self._sum, self._squares = self._sum - gone, self._squares - gone * gone
        self._values.append(value)
        self._sum, self._squares = self._sum + value, self._squares + value * value
        return score
