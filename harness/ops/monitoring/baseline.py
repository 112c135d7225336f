"""A robust, causal baseline of one signal: how far is this value from what is usual, in units that do not depend on the unit."""

from __future__ import annotations

import statistics
from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class Baseline:
    """Median and scale of recent calm values.

    scale = max(IQR / 1.349, 0.1 * sigma, 0.05 * |median|, floor): every term that can vanish has a floor under it, or a constant
    series would make any float noise an anomaly.
    """

    floor: float
    capacity: int = 120
    probation: int = 8
    _values: deque[float] = field(default_factory=deque)

    @property
    def ready(self) -> bool:
        """Enough calm values were seen to judge a new one."""
        return len(self._values) >= self.probation

    @property
    def median(self) -> float:
        return statistics.median(self._values) if self._values else 0.0

    def score(self, value: float) -> float:
        """(value - median) / scale; 0 before the probation has ended."""
        return (value - self.median) / self._scale() if self.ready else 0.0

    def learn(self, value: float) -> None:
        """Add a calm value; what is anomalous must not be learnt, or a lasting fault becomes the new normal."""
        self._values.append(value)
        if len(self._values) > self.capacity:
            self._values.popleft()

    def _scale(self) -> float:
        values = sorted(self._values)
        quarter = len(values) // 4
        spread = (values[-1 - quarter] - values[quarter]) / 1.349
        return max(spread, 0.1 * statistics.pstdev(values), 0.05 * abs(self.median), self.floor)
