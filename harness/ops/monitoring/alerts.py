"""Alerts: symptoms that last. One alert per name, service and instance; firing once, resolved once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from harness.ops.monitoring.symptoms import Symptom

RESOLVE_AFTER_S = 5.0

# Seconds that a symptom must last; a crash is confirmed by consecutive looks already.
FOR_S: Mapping[str, float] = {
    "InstanceDown": 0.0,
    "CertificateInvalid": 0.0,
    "RateLimited": 0.9,
    "CallErrors": 0.9,
    "CallsQueueing": 1.9,
    "CallLatencyHigh": 1.9,
    "ProbeSlow": 2.9,
    "ServiceErrors": 0.9,
    "ServiceLatencyHigh": 2.9,
    "ServiceQueueing": 1.9,
    "UserErrorsHigh": 0.9,
    "UserLatencyHigh": 2.9,
}

# Symptoms of one kind are one alert: a person wants to know that it is slow, not by how many ways that can be measured.
ALERT_OF: Mapping[str, str] = {
    "CallsQueueing": "LatencyHigh",
    "CallLatencyHigh": "LatencyHigh",
    "ServiceLatencyHigh": "LatencyHigh",
    "ServiceQueueing": "LatencyHigh",
    "ProbeSlow": "LatencyHigh",
    "CallErrors": "ErrorsHigh",
    "ServiceErrors": "ErrorsHigh",
}


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert as it is sent: labels and annotations of the Alertmanager data model."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at_s: float
    ends_at_s: float | None = None

    @property
    def fingerprint(self) -> str:
        """Identity of the label set."""
        text = "\x1f".join(f"{k}={v}" for k, v in sorted(self.labels.items()))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_webhook(self, wall_offset_s: float) -> dict[str, Any]:
        """One entry of `alerts` in the Alertmanager webhook body (version 4)."""
        return {
            "status": "firing" if self.ends_at_s is None else "resolved",
            "labels": dict(self.labels),
            "annotations": dict(self.annotations),
            "startsAt": _rfc3339(self.starts_at_s + wall_offset_s),
            "endsAt": "0001-01-01T00:00:00Z" if self.ends_at_s is None else _rfc3339(self.ends_at_s + wall_offset_s),
            "fingerprint": self.fingerprint,
        }


Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Lasting:
    """Something that is so now, and is an alert once it has been so without a break for `for_s`."""

    for_s: float
    labels: Mapping[str, str]
    summary: str


@dataclass(slots=True)
class _Pending:
    since_s: float
    last_s: float
    alert: Alert | None = None


@dataclass(slots=True)
class Book:
    """Turns what is so in successive rounds into changes: alerts that begin to fire, and alerts that are resolved after `resolve_after_s`.

    Both durations are those of the caller's clock: compressed already, where a time scale is.
    """

    resolve_after_s: float
    _pending: dict[Key, _Pending] = field(default_factory=dict)

    def update(self, t_s: float, seen: Mapping[Key, Lasting]) -> list[Alert]:
        """The alerts that changed at `t_s`."""
        changed = [a for key, one in seen.items() if (a := self._confirm(key, one, t_s)) is not None]
        return changed + [a for key in list(self._pending) if key not in seen and (a := self._release(key, t_s)) is not None]

    @property
    def firing(self) -> tuple[Alert, ...]:
        """In the order in which they were first seen."""
        return tuple(p.alert for p in self._pending.values() if p.alert is not None)

    def _confirm(self, key: Key, one: Lasting, t_s: float) -> Alert | None:
        pending = self._pending.setdefault(key, _Pending(t_s, t_s))
        pending.last_s = t_s
        if pending.alert is not None or t_s - pending.since_s < one.for_s:
            return None
        pending.alert = Alert(one.labels, {"summary": one.summary}, t_s)
        return pending.alert

    def _release(self, key: Key, t_s: float) -> Alert | None:
        pending = self._pending[key]
        if pending.alert is None:  # `for` wants it without a break
            del self._pending[key]
            return None
        if t_s - pending.last_s < self.resolve_after_s:
            return None
        del self._pending[key]
        return Alert(pending.alert.labels, pending.alert.annotations, pending.alert.starts_at_s, t_s)


@dataclass(slots=True)
class AlertBook:
    """Symptoms of successive rounds as alerts: one for each name, service and instance."""

    time_scale: float = 1.0
    _book: Book = field(init=False)

    def __post_init__(self) -> None:
        self._book = Book(RESOLVE_AFTER_S / self.time_scale)

    def update(self, t_s: float, symptoms: Iterable[Symptom]) -> list[Alert]:
        """The alerts that changed at `t_s`."""
        seen: dict[Key, Lasting] = {}
        for symptom in sorted(symptoms, key=_for_s):
            name = ALERT_OF.get(symptom.name, symptom.name)
            key = (name, symptom.service, symptom.instance if name == "InstanceDown" else "")
            seen.setdefault(key, Lasting(_for_s(symptom) / self.time_scale, _labels(key, symptom.severity), symptom.evidence))
        return self._book.update(t_s, seen)

    @property
    def firing(self) -> tuple[Alert, ...]:
        return self._book.firing


def _for_s(symptom: Symptom) -> float:
    return FOR_S[symptom.name] if symptom.for_s is None else symptom.for_s


def _labels(key: Key, severity: str) -> dict[str, str]:
    name, service, instance = key
    labels = {"alertname": name, "service": service, "severity": severity}
    return labels | {"instance": instance} if instance else labels


def _rfc3339(wall_s: float) -> str:
    return datetime.fromtimestamp(wall_s, tz=UTC).isoformat().replace("+00:00", "Z")
