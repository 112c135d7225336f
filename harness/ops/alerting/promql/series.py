"""Series in memory: what was scraped, until when each was there, and how to find them by their labels."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from harness.ops.alerting.promql.syntax import NAME, Selector

Labels = tuple[tuple[str, str], ...]
"""Sorted by name; an empty value is as good as none, so there is none. The metric's name is `__name__`."""


def labels_of(labels: Mapping[str, str]) -> Labels:
    """In their one form."""
    return tuple(sorted((k, v) for k, v in labels.items() if v))


@dataclass(slots=True)
class Series:
    """Points in order of time. `resets` sums what a counter had counted before each of its resets: a rate need not look for them."""

    labels: Labels
    t_ms: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    resets: list[float] = field(default_factory=list)
    ends_ms: list[int] = field(default_factory=list)  # Prometheus' staleness markers: it was gone from then on

    def append(self, t_ms: int, value: float) -> None:
        """A point that is not newer than the last one is dropped, as Prometheus does."""
        if self.t_ms and t_ms <= self.t_ms[-1]:
            return
        lost = self.resets[-1] if self.resets else 0.0
        if self.values and value < self.values[-1]:
            lost += self.values[-1]
        self.t_ms.append(t_ms)
        self.values.append(value)
        self.resets.append(lost)

    def end(self, t_ms: int) -> None:
        """It was looked for and was not there."""
        if self.t_ms and (not self.ends_ms or self.ends_ms[-1] < self.t_ms[-1]):
            self.ends_ms.append(t_ms)

    def at(self, t_ms: int, lookback_ms: int) -> int | None:
        """Index of the newest point at `t_ms`, unless it is older than the lookback or the series has ended since."""
        n = bisect_right(self.t_ms, t_ms) - 1
        if n < 0 or self.t_ms[n] < t_ms - lookback_ms:
            return None
        ended = bisect_right(self.ends_ms, t_ms) - 1
        return None if ended >= 0 and self.ends_ms[ended] > self.t_ms[n] else n

    def between(self, start_ms: int, end_ms: int) -> tuple[int, int]:
        """Indices [first, after last) of the points in [start, end], both ends included."""
        return bisect_left(self.t_ms, start_ms), bisect_right(self.t_ms, end_ms)

    def forget(self, before_ms: int) -> None:
        """Drop what is older."""
        n = bisect_left(self.t_ms, before_ms)
        del self.t_ms[:n], self.values[:n], self.resets[:n], self.ends_ms[: bisect_left(self.ends_ms, before_ms)]


class SeriesStore:
    """All series, by metric name. Times are milliseconds of the wall clock (UTC)."""

    def __init__(self) -> None:
        self._named: dict[str, dict[Labels, Series]] = {}
        self._found: dict[Selector, list[Series]] = {}

    def append(self, labels: Labels, t_ms: int, value: float) -> None:
        """One point of the series with these labels."""
        self.series(labels).append(t_ms, value)

    def series(self, labels: Labels) -> Series:
        """The series with these labels, made where there was none."""
        name = next((v for k, v in labels if k == NAME), "")
        named = self._named.setdefault(name, {})
        found = named.get(labels)
        if found is None:
            found = named[labels] = Series(labels)
            self._found.clear()
        return found

    def end(self, labels: Iterable[Labels], t_ms: int) -> None:
        """These were looked for at `t_ms` and were not there."""
        for one in labels:
            self.series(one).end(t_ms)

    def select(self, selector: Selector) -> list[Series]:
        """Those that match, whether or not they have points now."""
        found = self._found.get(selector)
        if found is None:
            names = [selector.name] if selector.name else list(self._named)
            every = [one for name in names for one in self._named.get(name, {}).values()]
            found = self._found[selector] = [one for one in every if selector.matches(dict(one.labels))]
        return found

    def forget(self, t_ms: int, reach_ms: Callable[[Labels], int]) -> None:
        """Drop points that are too old at `t_ms`, and series that have none left. `reach_ms`: how far back a series is asked for."""
        for name, named in list(self._named.items()):
            for labels, one in list(named.items()):
                one.forget(t_ms - reach_ms(labels))
                if not one.t_ms:
                    del named[labels]
                    self._found.clear()
            if not named:
                del self._named[name]

    def __len__(self) -> int:
        return sum(map(len, self._named.values()))
