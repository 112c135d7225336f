"""What a channel is, and what it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from harness.ops.alerting.life.desk import Notification

TIMEOUT_S = 5.0
LISTED = 10  # alerts in a text; more are counted


class ChannelError(Exception):
    """Nobody has received it.

    `again` is False where it would be refused another time, too; `after_s` is when the receiver wants it again.
    """

    def __init__(self, message: str, *, again: bool = True, after_s: float | None = None) -> None:
        super().__init__(message)
        self.again = again
        self.after_s = after_s


class Channel(Protocol):
    """One receiver."""

    def send(self, message: Message) -> None:
        """Deliver once, within a few seconds. Raises ChannelError."""
        ...


@dataclass(frozen=True, slots=True)
class Message:
    """A notification as it is kept and sent: the body of Alertmanager's webhook (version 4), and the same as a text."""

    body: Mapping[str, Any]

    @classmethod
    def of(cls, notification: Notification, receiver: str, wall_offset_s: float) -> Message:
        """`receiver` is the channel's name."""
        entries = [alert.to_webhook(wall_offset_s) for alert in notification.alerts]
        group = dict(notification.group)
        inside = ", ".join(f'{k}="{v}"' for k, v in notification.group)
        return cls(
            {
                "version": "4",
                "groupKey": f"{{}}:{{{inside}}}",
                "truncatedAlerts": 0,
                "status": "firing" if any(e["status"] == "firing" for e in entries) else "resolved",
                "receiver": receiver,
                "groupLabels": group,
                "commonLabels": _common([e["labels"] for e in entries]),
                "commonAnnotations": _common([e["annotations"] for e in entries]),
                "externalURL": "",
                "alerts": entries,
                "escalation": notification.why == "escalation",  # Alertmanager has no such field; receivers ignore what they do not know
            }
        )

    @property
    def title(self) -> str:
        """One line: `[FIRING 2] LatencyHigh llm`."""
        alerts = self.body["alerts"]
        firing = sum(one["status"] == "firing" for one in alerts)
        state = f"FIRING {firing}" if firing else "RESOLVED"
        escalated = "not acknowledged: " if self.body.get("escalation") else ""
        return f"[{state}] {escalated}{' '.join(v for v in self.body['groupLabels'].values() if v)}".strip()

    @property
    def text(self) -> str:
        """A line or two for each alert."""
        alerts = self.body["alerts"]
        lines = [line for one in alerts[:LISTED] for line in _lines(one)]
        return "\n".join([*lines, *([f"and {len(alerts) - LISTED} more"] if len(alerts) > LISTED else [])])


def _lines(alert: Mapping[str, Any]) -> list[str]:
    labels, annotations = alert["labels"], alert["annotations"]
    since = alert["startsAt"] if alert["status"] == "firing" else alert["endsAt"]
    where = " ".join(labels[name] for name in ("service", "instance") if name in labels)
    severity, fingerprint = labels.get("severity", "warning"), alert["fingerprint"]
    head = f"{alert['status']}: {labels.get('alertname', '')} {where} ({severity}) since {since} [{fingerprint}]"
    return [head, *(f"  {annotations[name]}" for name in ("summary", "description", "runbook_url") if name in annotations)]


def _common(entries: Sequence[Mapping[str, str]]) -> dict[str, str]:
    first = entries[0] if entries else {}
    return {k: v for k, v in first.items() if all(one.get(k) == v for one in entries)}
