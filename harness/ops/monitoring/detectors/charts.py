"""Control charts: a smoothed series against its limits (Roberts 1959), with a robust centre and scale."""

from __future__ import annotations

import math

from harness.ops.monitoring.detectors.base import reading, squash
from harness.ops.monitoring.detectors.history import History, Usual, usual

PROBATION = 50
_REFIT = 50
_WINDOW = 500
_LIMIT = 6.0  # standard deviations of the smoothed series that score 0.5


class Ewma:
    """Exponentially weighted moving average, weight 0.2: finds small shifts that last; its limits follow the last 500 points."""

    def __init__(self, weight: float = 0.2) -> None:
        self._weight = weight
        self._narrowing = math.sqrt(weight / (2.0 - weight))
        self._history = History()
        self._usual = Usual()
        self._smooth = 0.0

    def update(self, t_s: float, value: float) -> float:  # noqa: ARG002  # the order of arrival counts
        """See `Detector.update`."""
        value = reading(value)
        if value != value:
            return 0.0
        count = self._history.count
        if count >= PROBATION and (count - PROBATION) % _REFIT == 0:
            self._usual = usual(self._history.last(_WINDOW))
        self._smooth = value if count == 0 else self._smooth + self._weight * (value - self._smooth)
        self._history.add(value)
        if count < PROBATION:
            return 0.0
        scale = max(self._usual.scale, self._usual.floor)
        return squash(abs(self._smooth - self._usual.median) / (scale * self._narrowing), _LIMIT)
