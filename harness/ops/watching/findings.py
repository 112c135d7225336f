"""What the monitor finds beside the operator's own symptoms, as alerts: limits passed, anomalies, what will run out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from harness.ops.monitoring.alerts import Alert, Book, Key, Lasting

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
    def key(self) -> Key:
        return self.name, self.service, f"{self.what} {self.severity}"  # one that gets worse is another alert


@dataclass(slots=True)
class Findings:
    """Findings of successive rounds to alerts that begin to fire, and alerts that are resolved."""

    time_scale: float = 1.0
    _book: Book = field(init=False)

    def __post_init__(self) -> None:
        self._book = Book(LASTING_S / self.time_scale)

    def update(self, t_s: float, found: Iterable[Finding]) -> list[Alert]:
        """The alerts that changed at `t_s`."""
        seen: dict[Key, Lasting] = {}
        for finding in found:
            if finding.key not in seen or finding.at_once:
                for_s = 0.0 if finding.at_once else LASTING_S / self.time_scale
                seen[finding.key] = Lasting(for_s, _labels(finding), finding.summary)
        return self._book.update(t_s, seen)

    @property
    def firing(self) -> tuple[Alert, ...]:
        """In the order of their beginning."""
        return tuple(sorted(self._book.firing, key=lambda a: a.starts_at_s))


def _labels(finding: Finding) -> dict[str, str]:
    return {"alertname": finding.name, "service": finding.service, "metric": finding.what, "severity": finding.severity}
