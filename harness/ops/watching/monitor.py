"""What is known of a deployment at each moment: readings, their history, levels of the key metrics, anomalies, forecasts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from harness.ops.monitoring.application import Application
from harness.ops.monitoring.detectors.base import Detector
from harness.ops.monitoring.detectors.registry import create
from harness.ops.monitoring.forecast import Forecast, exhaustion
from harness.ops.monitoring.history import History
from harness.ops.monitoring.levels import Levels, Status, overall
from harness.ops.monitoring.readings import LookTally, Reading, Source, by_key, of_signals
from harness.ops.monitoring.rounds import Round
from harness.ops.monitoring.signals import derive
from harness.ops.monitoring.windows import Windows
from harness.ops.targets import Targets
from harness.ops.watching.findings import Finding

WINDOW_S = 60.0
ALARM = 0.5  # a score above it is an alarm, for every detector
FORECAST_EVERY_S = 60.0
FORECAST_WINDOW_S = 6 * 3600.0
FORECAST_HORIZON_S = 24 * 3600.0
FORECAST_REACH = 24.0
"""A trend is believed for so many times as long as it was observed: two minutes of warming up foretell nothing of a day."""
_FORECAST = ("memory", "capacity_used")
_DISK = "disk:"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All of one moment."""

    t_s: float
    statuses: tuple[Status, ...]
    readings: Mapping[str, Reading]
    forecasts: tuple[Forecast, ...]
    findings: tuple[Finding, ...]
    lost: tuple[str, ...] = ()  # sources that could not be read, and why

    @property
    def level(self) -> str:
        """The worst of the key metrics."""
        return overall(self.statuses)


@dataclass(slots=True)
class Monitor:
    """Called once a round, after the operator, whose windows it reads."""

    targets: Targets
    levels: Levels
    sources: Sequence[tuple[str, Source]] = ()
    detectors: Mapping[str, str] = field(default_factory=dict)
    capacity_per_s: Mapping[str, float] = field(default_factory=dict)
    history: History = field(default_factory=History)
    _application: Application = field(default_factory=Application)
    _tally: LookTally = field(default_factory=LookTally)
    _detecting: dict[str, Detector] = field(default_factory=dict)
    _forecasts: tuple[Forecast, ...] = ()
    _forecast_s: float = float("-inf")
    _since_s: float = float("inf")

    def observe(self, round_: Round, windows: Windows) -> Snapshot:
        """Take in one round."""
        lost: list[str] = []
        self._since_s = min(self._since_s, round_.t_s)
        window_s = min(WINDOW_S / self.targets.time_scale, round_.t_s - self._since_s)  # what was not seen yet is no silence
        read = [
            *(of_signals(derive(windows, round_.t_s, window_s), self.targets) if window_s > 0 else ()),
            *self._application.take(round_, window_s),
            *self._tally.take(round_),
            *(reading for name, source in self.sources for reading in _safely(name, source, lost)),
        ]
        readings = by_key([*read, *self._capacity(read)])
        for key, reading in readings.items():
            self.history.add(round_.t_s, key, reading.value)
        statuses = self.levels.judge(readings)
        self._forecast(round_.t_s, readings)
        findings = (*_limits(statuses), *self._anomalies(round_.t_s, readings), *_running_out(self._forecasts))
        return Snapshot(round_.t_s, statuses, readings, self._forecasts, findings, tuple(lost))

    def _capacity(self, read: Iterable[Reading]) -> Iterator[Reading]:
        """The share of what a service can serve that is asked of it."""
        for reading in read:
            if reading.name == "offered" and reading.subject in self.capacity_per_s:
                yield Reading(reading.subject, "capacity_used", reading.value / self.capacity_per_s[reading.subject])

    def _anomalies(self, t_s: float, readings: Mapping[str, Reading]) -> Iterator[Finding]:
        for key, reading in readings.items():
            name = self.detectors.get(key) or self.detectors.get(f"*/{reading.name}")
            if name is None:
                continue
            detector = self._detecting.get(key)
            if detector is None:
                detector = self._detecting[key] = create(name)
            score = detector.update(t_s, reading.value)
            if score > ALARM:
                summary = f"{key} is {reading.value:g}: {name} scores {score:.2f}"
                yield Finding("Anomaly", reading.subject, reading.name, "warning", summary, at_once=True)

    def _forecast(self, t_s: float, readings: Mapping[str, Reading]) -> None:
        """Not in every round: a trend of hours does not change in a second."""
        if t_s - self._forecast_s < FORECAST_EVERY_S:
            return
        self._forecast_s = t_s
        wanted = [key for key, r in readings.items() if r.name in _FORECAST or r.name.startswith(_DISK)]
        self._forecasts = tuple(exhaustion(key, self.history[key].points(t_s, FORECAST_WINDOW_S), full=1.0) for key in wanted)


def _safely(name: str, source: Source, lost: list[str]) -> Iterable[Reading]:
    """A source that fails costs its own readings only."""
    try:
        return list(source.read())
    except Exception as error:  # noqa: BLE001  # sources are other people's code, too: whatever it is, the watch goes on and says so
        lost.append(f"{name}: {type(error).__name__}: {error}")
        return ()


def _limits(statuses: Iterable[Status]) -> Iterator[Finding]:
    for status in statuses:
        if status.level == "critical":
            summary = f"{status.metric} of {status.subject} is {status.value:g} {status.unit}, promised {status.limit}"
            yield Finding("LimitPassed", status.subject, status.metric, "critical", summary)


def _running_out(forecasts: Iterable[Forecast]) -> Iterator[Finding]:
    for forecast in forecasts:
        if forecast.in_s is not None and forecast.in_s <= min(FORECAST_HORIZON_S, FORECAST_REACH * forecast.observed_s):
            subject, _, name = forecast.key.partition("/")
            yield Finding(
                "RunningOut", subject, name, "warning", f"{forecast.key}: full in {timedelta(seconds=round(forecast.in_s))} as it grows now"
            )
