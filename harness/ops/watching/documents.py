"""JSON documents of a watch: status, dashboard with the trend of alerts by hour, performance report."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from harness.ops.monitoring.alerts import Alert
from harness.ops.monitoring.history import History, Series
from harness.ops.monitoring.levels import LIMITED, Status
from harness.ops.recovery.controller import Done
from harness.ops.watching.monitor import Drift, Snapshot
from harness.record.clock import NS_PER_S, WallAnchor

HOUR_S = 3600
HOURS_KEPT = 168
DASHBOARD_WINDOW_S = 3600.0
DASHBOARD_POINTS = 120


@dataclass(slots=True)
class AlertTrend:
    """How many alerts began and were resolved in each hour of the wall clock; and how long they lasted. Kept for a week."""

    _hours: deque[tuple[str, dict[str, int]]] = field(default_factory=lambda: deque(maxlen=HOURS_KEPT))
    _durations_s: deque[float] = field(default_factory=lambda: deque(maxlen=1_000))

    def take(self, entries: Iterable[Mapping[str, Any]], at: str) -> None:
        """Entries of an Alertmanager body, told at that time (ISO 8601, UTC)."""
        hour = at[:13] + ":00"
        for entry in entries:
            if not self._hours or self._hours[-1][0] != hour:
                self._hours.append((hour, {}))
            counts = self._hours[-1][1]
            for name in (entry["status"], f"severity_{entry['labels']['severity']}" if entry["status"] == "firing" else None):
                if name is not None:
                    counts[name] = counts.get(name, 0) + 1

    def resolved_after(self, seconds: float) -> None:
        """An alert ended, and had lasted that long."""
        self._durations_s.append(seconds)

    def to_json(self) -> dict[str, Any]:
        """By hour, and the mean time to resolution."""
        lasted = sorted(self._durations_s)
        return {
            "by_hour": [{"hour": hour, **counts} for hour, counts in self._hours],
            "resolved": len(lasted),
            "resolution_s_mean": sum(lasted) / len(lasted) if lasted else None,
            "resolution_s_median": lasted[len(lasted) // 2] if lasted else None,
        }


def status(snapshot: Snapshot, firing: Sequence[Alert], anchor: WallAnchor) -> dict[str, Any]:
    """How it is now."""
    return {
        "at": moment(anchor, snapshot.t_s),
        "level": snapshot.level,
        "metrics": [one.to_json() for one in snapshot.statuses],
        "alerts": [{"labels": dict(a.labels), "summary": a.annotations["summary"], "since": moment(anchor, a.starts_at_s)} for a in firing],
        "forecasts": [asdict(one) for one in snapshot.forecasts],
        "lost": list(snapshot.lost),
    }


def actions(done: Iterable[Done], anchor: WallAnchor) -> list[dict[str, Any]]:
    """What the operator has done, oldest first; `helped` is null until it is known."""
    return [
        {
            "at": moment(anchor, one.t_s),
            "service": one.service,
            "kind": one.kind,
            "steps": [asdict(step) for step in one.rung],
            "helped": one.helped,
        }
        for one in done
    ]


def drift(one: Drift, anchor: WallAnchor) -> dict[str, Any]:
    """A distribution that has moved."""
    times = {"from": moment(anchor, one.t_s), "to": moment(anchor, one.until_s)}
    return times | {name: value for name, value in asdict(one).items() if name not in ("t_s", "until_s")}


def dashboard(snapshot: Snapshot, firing: Sequence[Alert], history: History, trend: AlertTrend, anchor: WallAnchor) -> dict[str, Any]:
    """The status, the last hour of every key metric, and the trend of alerts."""
    keys = [key for key in history.keys() if key.partition("/")[2] in LIMITED]  # noqa: SIM118  # a History is no mapping
    return {
        **status(snapshot, firing, anchor),
        "series": {
            key: [
                {"at": moment(anchor, t_s), "value": value}
                for t_s, value in history[key].points(snapshot.t_s, DASHBOARD_WINDOW_S, DASHBOARD_POINTS)
            ]
            for key in keys
        },
        "alert_trend": trend.to_json(),
    }


def history(key: str, series: Series, t_s: float, window_s: float, anchor: WallAnchor) -> dict[str, Any]:
    """One reading over the window: summary, growth per second (of use where it is a counter), and points."""
    summary = series.summary(t_s, window_s)
    points = series.points(t_s, window_s, DASHBOARD_POINTS)
    return {
        "key": key,
        "summary": asdict(summary) if summary is not None else None,
        "rate_per_s": series.rate_per_s(t_s, window_s),
        "points": [{"at": moment(anchor, at_s), "value": value} for at_s, value in points],
    }


def performance(history: History, statuses: Iterable[Status], t_s: float, since_s: float, anchor: WallAnchor) -> dict[str, Any]:
    """Average, minimum, maximum and percentiles of every reading over the period; what to do about those that are near or past a limit."""
    window_s = t_s - since_s
    metrics = {}
    for key in history.keys():  # noqa: SIM118
        summary = history[key].summary(t_s, window_s)
        if summary is not None:
            metrics[key] = {name: value for name, value in asdict(summary).items() if name != "total"}
    return {
        "period": {"from": moment(anchor, since_s), "to": moment(anchor, t_s), "seconds": window_s},
        "metrics": metrics,
        "recommendations": recommendations(history, statuses, t_s, window_s),
    }


_ADVICE: Mapping[str, str] = {
    "availability": "look at its errors and restarts first; add a replica where a single instance is lost",
    "response_time": "look at what it waits for: pool, provider or disk; cache or batch the slowest calls",
    "throughput": "it does not keep up with what is offered: more replicas or concurrency, or shed load",
    "error_rate": "group its errors by type (gauntlet logs analyze) and fix the most frequent",
    "cpu": "more replicas or processors; profile what takes the time",
    "memory": "raise the limit, or look for a leak where it grows without load",
    "disk": "remove or rotate what grows, or enlarge the file system",
}


def recommendations(history: History, statuses: Iterable[Status], t_s: float, window_s: float) -> list[dict[str, Any]]:
    """For each key metric that is not healthy now: what to do, and the evidence."""
    found = []
    for one in statuses:
        summary = history[key].summary(t_s, window_s) if (key := f"{one.subject}/{one.metric}") in history else None
        if one.level in ("warning", "critical"):
            evidence = f"{one.value:g} {one.unit} against {one.limit}"
            if summary is not None:
                evidence += f"; over the period {summary.mean:g} on average, {summary.minimum:g} to {summary.maximum:g}"
            found.append({"subject": one.subject, "metric": one.metric, "level": one.level, "what": _ADVICE[one.metric], "why": evidence})
    return found


def moment(anchor: WallAnchor, t_s: float) -> str:
    """A time of the monotonic clock as a date."""
    return anchor.at(round(t_s * NS_PER_S)).isoformat()
