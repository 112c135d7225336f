"""Histograms that cost a fraction of a microsecond: they are turned into Prometheus' shapes only when asked for."""

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from prometheus_client.core import HistogramMetricFamily


class Histogram:
    """Observations by bucket; `bounds` are upper bounds, included, in rising order."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """The same value, so many times."""
        self._counts[bisect_left(self._bounds, value)] += times
        self._sum += value * times

    def observe_all(self, values: NDArray[np.float64], times: NDArray[np.float64] | None = None) -> None:
        """Many values at once, each once or so many `times`."""
        found = np.bincount(np.searchsorted(self._bounds, values), times, len(self._counts))
        self._counts = [old + int(new) for old, new in zip(self._counts, found, strict=True)]
        self._sum += float(values.sum() if times is None else values @ times)

    def add_to(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        """Put what was observed into a family, under these values of its labels."""
        buckets: list[tuple[str, float]] = []
        total = 0
        for bound, count in zip((*self._bounds, float("inf")), self._counts, strict=True):
            total += count
            buckets.append(("+Inf" if bound == float("inf") else str(float(bound)), total))
        family.add_metric(labels, buckets, self._sum)
