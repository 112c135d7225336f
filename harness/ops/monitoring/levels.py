"""Key metrics against their limits: healthy, warning (80 % of the way to the limit), critical (beyond it), unknown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from harness.ops.monitoring.readings import Reading
from harness.scenario.units import Limit, limit

Level = Literal["healthy", "warning", "critical", "unknown"]
ORDER: tuple[Level, ...] = ("critical", "warning", "unknown", "healthy")
"""The worst first."""

WARNING_AT = 0.8
FEWEST_EVENTS = 20
"""Of a share that is counted from fewer, nothing is known."""
PASSED_ON = 0.9
"""Where less is offered than the limit of throughput asks for, this share of it must come through."""


@dataclass(frozen=True, slots=True)
class Limited:
    """A key metric. `best` is where the way to the limit begins: 0 of what should be small, 1 of a share that should be whole."""

    limit: Limit
    best: float
    unit: str


LIMITED: Mapping[str, Limited] = {
    "availability": Limited(limit(">= 99%"), 1.0, "ratio"),
    "response_time": Limited(limit("<= 2s"), 0.0, "s"),
    "throughput": Limited(limit(">= 100/s"), 0.0, "per_s"),  # its way begins at what is offered
    "error_rate": Limited(limit("<= 1%"), 0.0, "ratio"),
    "cpu": Limited(limit("<= 80%"), 0.0, "ratio"),
    "memory": Limited(limit("<= 85%"), 0.0, "ratio"),
    "disk": Limited(limit("<= 90%"), 0.0, "ratio"),
}
_OTHERWISE: Mapping[str, str] = {"availability": "availability_by_looks", "response_time": "look_time"}
"""What stands in for a metric that a service has none of."""


@dataclass(frozen=True, slots=True)
class Status:
    """One key metric of one subject. `way`: 0 at its best, 1 at the limit."""

    subject: str
    metric: str
    level: Level
    value: float | None
    limit: str
    unit: str
    way: float | None = None
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready document."""
        return asdict(self)


class Levels:
    """Judges readings by the default limits and those of the STACK.yaml.

    `subjects` are the services that must have availability and response time: one that says nothing is `unknown`, not healthy.
    """

    def __init__(self, subjects: Iterable[str], limits: Mapping[str, Limit] | None = None) -> None:
        self._subjects = tuple(subjects)
        given = limits or {}
        self._limits = {name: given.get(name, known.limit) for name, known in LIMITED.items()}

    def bound(self, metric: str) -> float:
        """The limit of a key metric, in its unit."""
        return self._limits[metric].value

    def judge(self, readings: Mapping[str, Reading]) -> tuple[Status, ...]:
        """All key metrics that there are readings of, and those that there should be."""
        named = {(r.subject, r.name) for r in readings.values()}
        subjects = list(dict.fromkeys([*self._subjects, *(subject for subject, _ in sorted(named))]))
        return tuple(status for subject in subjects for status in self._of(subject, readings))

    def _of(self, subject: str, readings: Mapping[str, Reading]) -> Iterator[Status]:
        for metric in LIMITED:
            reading = readings.get(f"{subject}/{metric}") or readings.get(f"{subject}/{_OTHERWISE.get(metric, metric)}")
            if reading is not None:
                yield self._status(reading, metric, readings.get(f"{subject}/offered"))
            elif subject in self._subjects and metric in _OTHERWISE:
                yield Status(subject, metric, "unknown", None, self._limits[metric].text, LIMITED[metric].unit, reason="no reading")

    def _status(self, reading: Reading, metric: str, offered: Reading | None) -> Status:
        limit_, unit = self._limits[metric], LIMITED[metric].unit
        shown = (reading.subject, metric)
        if metric == "throughput":
            if offered is None or offered.value <= 0 or (offered.events or 0) < FEWEST_EVENTS:
                return Status(*shown, "unknown", reading.value, limit_.text, unit, reason="not known what was offered, or too little was")
            best, bound = offered.value, min(limit_.value, PASSED_ON * offered.value)
        else:
            best, bound = LIMITED[metric].best, limit_.value
        if unit == "ratio" and reading.events is not None and reading.events < FEWEST_EVENTS:
            return Status(*shown, "unknown", reading.value, limit_.text, unit, reason=f"{reading.events} events are too few")
        way = _way(reading.value, best, bound)
        level: Level = "critical" if way > 1.0 + 1e-9 else "warning" if way >= WARNING_AT else "healthy"
        if level == "critical" and _single(reading, metric):
            return Status(*shown, "warning", reading.value, limit_.text, unit, way, "a single failure is no rate")
        return Status(*shown, level, reading.value, limit_.text, unit, way)


def overall(statuses: Iterable[Status]) -> Level:
    """The worst level; `unknown` where there is nothing, or where what must be known is not: a share of too few events need not."""
    found = {status.level for status in statuses if status.level != "unknown" or status.metric in _OTHERWISE}
    return next((level for level in ORDER if level in found), "unknown")


def _way(value: float, best: float, bound: float) -> float:
    """How far from the best towards the bound; a bound at the best itself admits nothing else."""
    if bound == best:
        return 0.0 if value == best else float("inf")
    return max(0.0, (value - best) / (bound - best))


def _single(reading: Reading, metric: str) -> bool:
    if reading.events is None or metric not in ("availability", "error_rate"):
        return False
    bad = reading.value if metric == "error_rate" else 1.0 - reading.value
    return bad * reading.events < 1.5


def check_limit(name: str, given: Limit) -> None:
    """Raises ValueError for a limit of another direction or unit than the metric has."""
    wanted = LIMITED[name].limit
    if given.op[0] != wanted.op[0] or given.unit != wanted.unit or given.of is not None:
        raise ValueError(f"{given.text!r} is no limit of {name}; write it like {wanted.text!r}")
