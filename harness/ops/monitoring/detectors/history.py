"""The last values of a series, and what is usual in them."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

KEPT = 2048
Values = npt.NDArray[np.float64]


class History:
    """A ring of the last 2 048 values; bounded, whatever comes."""

    __slots__ = ("_ring", "_view", "count")

    def __init__(self) -> None:
        self._ring = array("d", bytes(8 * KEPT))
        self._view = np.frombuffer(self._ring)
        self.count = 0

    def add(self, value: float) -> None:
        self._ring[self.count % KEPT] = value
        self.count += 1

    def ago(self, points: int) -> float:
        """The value `points` ago; 1 is the last one. The caller knows that there is one."""
        return self._ring[(self.count - points) % KEPT]

    def last(self, most: int) -> Values:
        """At most so many of the last values, oldest first."""
        length = min(most, self.count, KEPT)
        end = self.count % KEPT
        if length <= end:
            return self._view[end - length : end]
        return np.concatenate((self._view[end - length :], self._view[:end]))


@dataclass(frozen=True, slots=True)
class Usual:
    """Centre and scale of recent values. `floor` is the size below which a difference means nothing, however steady the series is."""

    median: float = 0.0
    scale: float = 0.0
    floor: float = 0.0
    low: float = 0.0
    high: float = 0.0


_RELATIVE_FLOOR = 0.002  # of the median: less is float noise and rounding
_ABSOLUTE_FLOOR = 1e-12


def usual(values: Values) -> Usual:
    """Robust centre and scale; `low` and `high` bound what may teach a model."""
    ranked = np.sort(values)
    n = len(ranked)
    median = float(ranked[n // 2])
    spread = float(np.std(np.clip(values, ranked[n // 50], ranked[-1 - n // 50])))
    scale = max(float(ranked[3 * n // 4] - ranked[n // 4]) / 1.349, 0.1 * spread, 1e-9 * abs(median))
    floor = max(0.1 * spread, _RELATIVE_FLOOR * abs(median), _ABSOLUTE_FLOOR)
    hundredth = n // 100
    return Usual(median, scale, floor, float(ranked[hundredth]) - 3 * scale, float(ranked[-1 - hundredth]) + 3 * scale)


def period(values: Values) -> int:
    """The length of the strongest cycle in points, by autocorrelation; 0 where there is none."""
    n = len(values)
    ranked = np.sort(values)
    calm = np.clip(values, ranked[n // 50], ranked[-1 - n // 50])
    calm = calm - np.linspace(calm[: n // 4].mean(), calm[-(n // 4) :].mean(), n)
    calm = calm - calm.mean()
    spectrum = np.fft.rfft(calm, 2 * n)
    correlation = np.fft.irfft(spectrum * spectrum.conj())[:n]
    if correlation[0] <= n * _ABSOLUTE_FLOOR**2:
        return 0
    correlation = (correlation / correlation[0] * (n / (n - np.arange(n))))[: n * 2 // 5]
    fallen = np.flatnonzero(correlation < 0.1)
    start = max(int(fallen[0]), 4) if len(fallen) else len(correlation)
    if start >= len(correlation) - 2:
        return 0
    inner = correlation[start + 1 : -1]
    peaks = np.flatnonzero((inner >= correlation[start:-2]) & (inner > correlation[start + 2 :])) + start + 1
    if not len(peaks) or correlation[peaks].max() < 0.25:
        return 0
    return int(peaks[correlation[peaks] >= 0.9 * correlation[peaks].max()][0])
