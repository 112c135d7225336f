"""Thresholds that learn: a rule that asks for `NAME:anomaly` gets how anomalous each series of NAME is, by one of the operator's detectors.

`NAME:anomaly` is scored by the default detector, `NAME:anomaly:kalman` by the one of that name; 0.5 and more is where it would alert.
A real Prometheus has no such series, so a rule on one is silent there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from harness.ops.alerting.promql.evaluate import LOOKBACK_MS
from harness.ops.alerting.promql.series import Labels, SeriesStore
from harness.ops.alerting.promql.syntax import NAME, Selector, walk
from harness.ops.alerting.promql.vectors import replaced
from harness.ops.alerting.rules.model import Group
from harness.ops.monitoring.detectors.base import Detector
from harness.ops.monitoring.detectors.registry import DEFAULT, create

_SCORED = re.compile(r"(.+):anomaly(?::(\w+))?")


def scored(name: str) -> tuple[str, str] | None:
    """The metric that is scored, and the detector's name; None for a metric that is no score."""
    match = _SCORED.fullmatch(name)
    return (match[1], match[2] or DEFAULT) if match else None


@dataclass(slots=True)
class _Watch:
    detector: Detector
    seen_ms: int
    written: Labels


@dataclass(slots=True)
class Anomalies:
    """One detector for each series that rules want scored. Raises UnknownDetectorError where there is none of that name."""

    store: SeriesStore
    wanted: frozenset[str]  # names of scores
    time_scale: float = 1.0
    make: Callable[[str], Detector] = create
    _watches: dict[tuple[str, Labels], _Watch] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for _, detector in self._pairs():
            self.make(detector)

    @classmethod
    def of(cls, groups: Sequence[Group], store: SeriesStore, time_scale: float) -> Anomalies:
        """What these rules ask for."""
        nodes = [node for group in groups for rule in group.rules for node in walk(rule.expr)]
        return cls(store, frozenset(n.name for n in nodes if isinstance(n, Selector) and scored(n.name)), time_scale)

    @property
    def bases(self) -> frozenset[str]:
        """Metrics that have to be there to be scored."""
        return frozenset(base for base, _ in self._pairs())

    def step(self, t_ms: int) -> None:
        """Score what has come since the last step; end the scores of series that are gone."""
        lookback_ms = round(LOOKBACK_MS / self.time_scale)
        for name in self.wanted:
            base, detector = scored(name) or ("", "")
            there = set()
            for one in self.store.select(Selector(base)):
                n = one.at(t_ms, lookback_ms)
                if n is not None:
                    there.add(one.labels)
                    self._score(name, detector, one.labels, one.t_ms[n], one.values[n])
            for key in [k for k in self._watches if k[0] == name and k[1] not in there]:
                self.store.end([self._watches.pop(key).written], t_ms)

    def _score(self, name: str, detector: str, labels: Labels, t_ms: int, value: float) -> None:
        watch = self._watches.get((name, labels))
        if watch is None:
            watch = self._watches[name, labels] = _Watch(self.make(detector), 0, replaced(labels, NAME, name))
        if t_ms > watch.seen_ms:
            watch.seen_ms = t_ms
            self.store.append(watch.written, t_ms, watch.detector.update(t_ms / 1000, value))

    def _pairs(self) -> list[tuple[str, str]]:
        return [pair for name in self.wanted if (pair := scored(name)) is not None]
