"""What is known of a deployment at each moment: readings, their history, levels of the key metrics, anomalies, forecasts."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from harness.ops.monitoring.application import Application
from harness.ops.monitoring.detectors.base import Detector, MultivariateDetector
from harness.ops.monitoring.detectors.registry import DRIFT, create, create_for
from harness.ops.monitoring.forecast import Forecast, exhaustion
from harness.ops.monitoring.history import History
from harness.ops.monitoring.levels import Levels, Status, overall
from harness.ops.monitoring.readings import LookTally, Reading, Source, by_key, of_signals
from harness.ops.monitoring.rounds import Round
from harness.ops.monitoring.signals import derive
from harness.ops.monitoring.windows import Windows
from harness.ops.stackfile.profiles import Profile
from harness.ops.targets import Targets
from harness.ops.watching.findings import Finding

WINDOW_S = 60.0
FEWEST_ROUNDS = 4.0  # in a window: growth needs two, and one may be late
ALARM = 0.5  # a score above it is an alarm, for every detector
FORECAST_WINDOW_S = 6 * 3600.0
FORECAST_HORIZON_S = 24 * 3600.0
FORECAST_REACH = 24.0
"""A trend is believed for so many times as long as it was observed: two minutes of warming up foretell nothing of a day."""
LIMIT_REACH = 3.0
"""What moves towards its limit is believed for fewer times: load comes and goes."""
_FORECAST = ("memory", "capacity_used")
_APPROACHED = ("response_time", "error_rate", "cpu")
_DISK = "disk:"


DRIFTS_KEPT = 500
DRIFT_POINTS = 100
"""What drifts again within so many is the same drift: as many as a sliding window holds."""
_GRADES = ((0.8, "critical"), (2 / 3, "error"), (0.0, "warning"))
"""Four times the threshold, twice, once."""


@dataclass(frozen=True, slots=True)
class Drift:
    """A distribution that has moved: of `key`, by `detector`, between these times.

    ADWIN tells no distance: its score is 1, its severity a warning.
    """

    t_s: float
    until_s: float
    key: str
    detector: str
    score: float
    severity: str


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
    profile: Profile = field(default_factory=Profile)
    capacity_per_s: Mapping[str, float] = field(default_factory=dict)
    history: History = field(default_factory=History)
    together: Mapping[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)  # name -> detector, keys of readings
    drifts: deque[Drift] = field(default_factory=lambda: deque(maxlen=DRIFTS_KEPT))
    _application: Application = field(init=False)
    _tally: LookTally = field(default_factory=LookTally)
    _detecting: dict[str, _Detecting] = field(default_factory=dict)
    _rows: dict[str, MultivariateDetector] = field(default_factory=dict)
    _rows_s: float = float("-inf")
    _forecasts: tuple[Forecast, ...] = ()
    _forecast_s: float = float("-inf")
    _since_s: float = float("inf")
    _before: Snapshot = field(default_factory=lambda: Snapshot(float("-inf"), (), {}, (), ()))

    def __post_init__(self) -> None:
        self._application = Application(Windows(keep_s=self._window_s()))

    @property
    def before(self) -> Snapshot:
        """The last round's."""
        return self._before

    def observe(self, round_: Round, windows: Windows) -> Snapshot:
        """Take in one round."""
        lost: list[str] = []
        self._since_s = min(self._since_s, round_.t_s)
        window_s = min(self._window_s(), round_.t_s - self._since_s)  # what was not seen yet is no silence
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
        findings = (
            *_limits(statuses),
            *self._anomalies(round_.t_s, readings),
            *self._in_rows(round_.t_s, readings),
            *_running_out(self._forecasts),
        )
        self._before = Snapshot(round_.t_s, statuses, readings, self._forecasts, findings, tuple(lost))
        return self._before

    def _window_s(self) -> float:
        return max(WINDOW_S, FEWEST_ROUNDS * self.profile.every_s) / self.targets.time_scale

    def _capacity(self, read: Iterable[Reading]) -> Iterator[Reading]:
        """The share of what a service can serve that is asked of it."""
        for reading in read:
            if reading.name == "offered" and reading.subject in self.capacity_per_s:
                yield Reading(reading.subject, "capacity_used", reading.value / self.capacity_per_s[reading.subject])

    def _anomalies(self, t_s: float, readings: Mapping[str, Reading]) -> Iterator[Finding]:
        for key, reading in readings.items():
            name = self._detector_of(reading)
            if name is None:
                continue
            one = self._detecting.get(key)
            if one is None:
                one = self._detecting[key] = _Detecting(create(name), t_s)
            taken = one.take(t_s, reading.value, self.profile.detect_every_s / self.targets.time_scale)
            if taken is not None and taken[1] > ALARM:
                yield self._strange(t_s, reading.subject, reading.name, name, taken[1], f"is {taken[0]:g}")

    def _in_rows(self, t_s: float, readings: Mapping[str, Reading]) -> Iterator[Finding]:
        """Rows of readings that are looked at together; one that lacks a reading is none."""
        if t_s - self._rows_s < self.profile.detect_every_s / self.targets.time_scale:
            return
        self._rows_s = t_s
        for what, (name, keys) in self.together.items():
            if all(key in readings for key in keys):
                detector = self._rows.setdefault(what, create_for(name, len(keys)))
                score = detector.update(t_s, [readings[key].value for key in keys])
                if score > ALARM:
                    row = ", ".join(f"{key} {readings[key].value:g}" for key in keys)
                    yield self._strange(t_s, keys[0].partition("/")[0], what, name, score, f"({row})")

    def _strange(self, t_s: float, subject: str, what: str, detector: str, score: float, seen: str) -> Finding:
        """A drift is graded by how far it is beyond its threshold, and remembered; any other anomaly is a warning."""
        summary = f"{subject}/{what} {seen}: {detector} scores {score:.2f}"
        if detector not in DRIFT:
            return Finding("Anomaly", subject, what, "warning", summary, at_once=True)
        severity = next(word for least, word in _GRADES if score >= least) if detector != "adwin" else "warning"
        self._remember(Drift(t_s, t_s, f"{subject}/{what}", detector, score, severity))
        return Finding("Drift", subject, what, severity, summary, at_once=True)

    def _remember(self, drift: Drift) -> None:
        """One that goes on is the same drift, as bad as it was at its worst."""
        near_s = DRIFT_POINTS * max(self.profile.every_s, self.profile.detect_every_s) / self.targets.time_scale
        for n in range(len(self.drifts) - 1, -1, -1):
            last = self.drifts[n]
            if (last.key, last.detector) == (drift.key, drift.detector) and drift.t_s - last.until_s <= near_s:
                worst = max(last, drift, key=lambda one: one.score)
                self.drifts[n] = replace(worst, t_s=last.t_s, until_s=drift.until_s)
                return
        self.drifts.append(drift)

    def _detector_of(self, reading: Reading) -> str | None:
        """`llm/first_token:small` before `*/first_token:small` before `*/first_token`."""
        named = self.profile.detectors
        base = reading.name.partition(":")[0]
        return named.get(reading.key) or named.get(f"*/{reading.name}") or named.get(f"*/{base}")

    def _forecast(self, t_s: float, readings: Mapping[str, Reading]) -> None:
        """Not in every round: a trend of hours does not change in a second."""
        if t_s - self._forecast_s < self.profile.forecast_every_s:
            return
        self._forecast_s = t_s
        wanted = {key: 1.0 for key, r in readings.items() if r.name in _FORECAST or r.name.startswith(_DISK)}
        if self.profile.forecast_limits:
            wanted |= {key: self.levels.bound(r.name) for key, r in readings.items() if r.name in _APPROACHED}
        self._forecasts = tuple(exhaustion(key, self.history[key].points(t_s, FORECAST_WINDOW_S), full) for key, full in wanted.items())


@dataclass(slots=True)
class _Detecting:
    """A detector of one reading, and what was read since it was last fed."""

    detector: Detector
    fed_s: float
    values: list[float] = field(default_factory=list)

    def take(self, t_s: float, value: float, every_s: float) -> tuple[float, float] | None:
        """The mean that the detector was fed now, and its score; None until it is time."""
        self.values.append(value)
        if t_s - self.fed_s < every_s:
            return None
        mean = sum(self.values) / len(self.values)
        self.fed_s, self.values = t_s, []
        return mean, self.detector.update(t_s, mean)


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
        subject, _, name = forecast.key.partition("/")
        reach = LIMIT_REACH if name in _APPROACHED else FORECAST_REACH
        if forecast.in_s is not None and forecast.in_s <= min(FORECAST_HORIZON_S, reach * forecast.observed_s):
            what = "past its limit" if name in _APPROACHED else "full"
            summary = f"{forecast.key}: {what} in {timedelta(seconds=round(forecast.in_s))} as it grows now"
            yield Finding("LimitNear" if name in _APPROACHED else "RunningOut", subject, name, "warning", summary)
