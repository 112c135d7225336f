"""Recent values of counters and gauges, and what they did over a window."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Key:
    """Identity of one series of one instance."""

    service: str
    instance: str
    name: str
    labels: Labels

    def label(self, name: str) -> str:
        """Value of a label, or the empty string."""
        return next((v for k, v in self.labels if k == name), "")


class Windows:
    """Series by metric name, kept for `keep_s` seconds. Times are seconds of the caller's clock."""

    def __init__(self, keep_s: float) -> None:
        self._keep_s = keep_s
        self._series: dict[str, dict[Key, deque[tuple[float, float]]]] = {}
        self._scraped: dict[str, float] = {}  # instance -> when it was last seen

    def add(self, t_s: float, service: str, instance: str, samples: Iterable[tuple[str, Mapping[str, str], float]]) -> None:
        """One scrape of one instance.

        A series that a known instance did not have at its last scrape was zero then: the first event of a kind (a burst of 429s) creates
        its counter, and must not be lost for want of an earlier value.
        """
        before_s = self._scraped.get(instance)
        for name, labels, value in samples:
            key = Key(service, instance, name, tuple(sorted(labels.items())))
            series = self._series.setdefault(name, {}).setdefault(key, deque())
            if not series and before_s is not None:
                series.append((before_s, 0.0))
            series.append((t_s, value))
            while series and series[0][0] < t_s - self._keep_s:
                series.popleft()
        self._scraped[instance] = t_s

    def increases(self, name: str, t_s: float, window_s: float) -> Iterator[tuple[Key, float]]:
        """Growth of each counter over the last `window_s`; a reset counts from zero (as Prometheus' `increase`, not extrapolated).

        The first scrape ever of an instance is only a base: what it counted before it was known is no traffic of the window.
        """
        for key, series in self._series.get(name, {}).items():
            points = [p for p in series if p[0] >= t_s - window_s - 0.001]
            if len(points) >= 2:
                yield key, _increase(points)

    def latest(self, name: str, t_s: float, window_s: float) -> Iterator[tuple[Key, float]]:
        """The newest value of each gauge that was seen in the window."""
        yield from ((key, newest) for key, newest, _ in self.span(name, t_s, window_s))

    def span(self, name: str, t_s: float, window_s: float) -> Iterator[tuple[Key, float, float]]:
        """The newest and the oldest value of each gauge that was seen in the window."""
        for key, series in self._series.get(name, {}).items():
            points = [v for at, v in series if at >= t_s - window_s - 0.001]
            if points:
                yield key, points[-1], points[0]


def _increase(points: list[tuple[float, float]]) -> float:
    grown = 0.0
    for (_, before), (_, after) in pairwise(points):
        grown += after - before if after >= before else after
    return grown
