"""State space: a local level that wanders, seen through noise; what is scored is the innovation (Harvey 1989, chapter 2)."""

from __future__ import annotations

import math

from harness.ops.monitoring.detectors.base import reading, squash
from harness.ops.monitoring.detectors.history import History, usual

PROBATION = 50
_LIMIT = 5.0  # Mahalanobis distance that scores 0.5
_REFIT = 50
_WINDOW = 500


class Kalman:
    """Local level model. Observation and state variance follow from the variance and the first autocovariance of recent differences.

    The distance is Mahalanobis': |innovation| / its standard deviation. An innovation counts for the level as at most three standard
    deviations, so that a spike does not drag it along.
    """

    def __init__(self) -> None:
        self._history = History()
        self._level = self._variance = 0.0
        self._noise = self._wander = 1.0

    def update(self, t_s: float, value: float) -> float:  # noqa: ARG002  # the order of arrival counts
        """See `Detector.update`."""
        value = reading(value)
        if value != value:
            return 0.0
        count = self._history.count
        if count >= PROBATION and (count - PROBATION) % _REFIT == 0:
            self._fit()
            if count == PROBATION:
                self._variance = self._noise
        self._history.add(value)
        if count < PROBATION:
            self._level = value
            return 0.0
        predicted = self._variance + self._wander
        total = predicted + self._noise
        innovation, deviation = value - self._level, math.sqrt(total)
        gain = predicted / total
        self._level += gain * max(-3.0 * deviation, min(3.0 * deviation, innovation))
        self._variance = (1.0 - gain) * predicted
        return squash(abs(innovation) / deviation, _LIMIT)

    def _fit(self) -> None:
        """Differences d of a local level have variance wander + 2 noise, and first autocovariance -noise."""
        values = self._history.last(_WINDOW)
        floor = usual(values).floor
        steps = values[1:] - values[:-1]
        scale = usual(steps).scale
        calm = steps.clip(-4.0 * scale - floor, 4.0 * scale + floor)
        calm = calm - calm.mean()
        variance, covariance = float((calm * calm).mean()), float((calm[1:] * calm[:-1]).mean())
        self._noise = max(-covariance, 0.05 * variance, floor * floor)
        self._wander = max(variance - 2.0 * self._noise, 1e-4 * self._noise)
