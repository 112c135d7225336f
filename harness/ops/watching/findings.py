"""What the monitor finds beside the operator's own symptoms, as alerts: limits passed, anomalies, what will run out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from harness.ops.monitoring.alerts import Alert

LASTING_S = 15.0
"""A finding must last that long before it is an alert, and be gone as long before that is resolved."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something a person should look at. Not a cause to act upon: no diagnosis is made of it."""

    name: str  # the alert's
    service: str
    what: str  # which of several of that name: the metric
    severity: str
    summary: str
    at_once: bool = False  # an anomaly is one point: it does not last

    @property
    def key(self) -> tuple[str, str, str]:
        return self.name, self.service, self.what


@dataclass(slots=True)
class _Open:
    since_s: float
    last_s: float
    alert: Alert | None = None


@dataclass(slots=True)
class Findings:
    """Findings of successive rounds to alerts that begin to fire, and alerts that are resolved."""

    time_scale: float = 1.0
    _open: dict[tuple[str, str, str], _Open] = field(default_factory=dict)

    def update(self, t_s: float, found: Iterable[Finding]) -> list[Alert]:
        """The alerts that changed at `t_s`."""
        lasting_s = LASTING_S / self.time_scale
        changed = []
        for finding in found:
            entry = self._open.setdefault(finding.key, _Open(t_s, t_s))
            entry.last_s = t_s
            if entry.alert is None and (finding.at_once or t_s - entry.since_s >= lasting_s):
                entry.alert = Alert(_labels(finding), {"summary": finding.summary}, t_s)
                changed.append(entry.alert)
        for key, entry in list(self._open.items()):
            if entry.alert is None and entry.last_s < t_s:
                del self._open[key]
            elif entry.alert is not None and t_s - entry.last_s >= lasting_s:
                del self._open[key]
                changed.append(Alert(entry.alert.labels, entry.alert.annotations, entry.alert.starts_at_s, t_s))
        return changed

    @property
    def firing(self) -> tuple[Alert, ...]:
        """In the order of their beginning."""
        return tuple(sorted((e.alert for e in self._open.values() if e.alert is not None), key=lambda a: a.starts_at_s))


def _labels(finding: Finding) -> dict[str, str]:
    return {"alertname": finding.name, "service": finding.service, "metric": finding.what, "severity": finding.severity}
