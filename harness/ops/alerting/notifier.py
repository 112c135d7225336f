"""Tells people: the operator's alerts pass over the desk, and what that decides goes to the channels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.ops.alerting.channels.base import Message
from harness.ops.alerting.channels.config import Notify
from harness.ops.alerting.channels.delivery import Delivery, Log
from harness.ops.alerting.channels.spool import Spool
from harness.ops.alerting.life.desk import Desk
from harness.ops.diagnosis.ranking import Cause
from harness.ops.monitoring.alerts import Alert
from harness.ops.operator import Voice
from harness.ops.recovery.controller import Handover
from harness.ops.recovery.strategies import Step
from harness.record.clock import NS_PER_S, Clock

LAST_PATIENCE_S = 2.0


class Notifier:
    """A voice beside another one: it hears the same, and tells people. `tick` is called once a round, for what is due without a change."""

    def __init__(self, voice: Voice, notify: Notify, wall_offset_s: float, clock: Clock, log: Log) -> None:
        self._voice, self._notify, self._wall_offset_s, self._log = voice, notify, wall_offset_s, log
        self.desk = Desk(notify.policy)
        self._changes: list[Alert] = []
        self._acknowledged = notify.spool / "acknowledged"
        self._acknowledged.mkdir(parents=True, exist_ok=True)
        self._delivery = Delivery(notify.channels, Spool(notify.spool), lambda: clock.now_ns() / NS_PER_S + wall_offset_s, log)

    def alerts(self, changed: list[Alert]) -> None:
        self._changes += changed
        self._voice.alerts(changed)

    def diagnosis(self, causes: tuple[Cause, ...]) -> str | None:
        return self._voice.diagnosis(causes)

    def act(self, step: Step, diagnosis_id: str | None) -> bool | None:
        return self._voice.act(step, diagnosis_id)

    def escalate(self, handover: Handover, diagnosis_id: str | None) -> None:
        self._voice.escalate(handover, diagnosis_id)

    def tick(self, t_s: float) -> None:
        """Put what is due into the spool."""
        self._acknowledge(t_s)
        changes, self._changes = self._changes, []
        for notification in self.desk.step(t_s, changes):
            for name in self._notify.escalate_to if notification.why == "escalation" else self._notify.first:
                self._delivery.put(name, Message.of(notification, name, self._wall_offset_s))

    def _acknowledge(self, t_s: float) -> None:
        """A file in `acknowledged/`, with the name of a fingerprint, is somebody's word; it is taken once."""
        for path in sorted(self._acknowledged.iterdir()):
            known = self.desk.acknowledge(path.name, t_s)
            path.unlink(missing_ok=True)
            self._log({"what": "acknowledged", "fingerprint": path.name, **({} if known else {"error": "no such alert fires"})})

    def close(self) -> None:
        """What nobody has received by then stays in the spool, for the next start."""
        if not self._delivery.close(LAST_PATIENCE_S):
            self._log({"what": "notification", "error": f"some are not received; they stay in {self._notify.spool}"})
        self._log({"what": "alert history", "resolution": {k: _plain(v) for k, v in self.desk.history.resolution().items()}})


def _plain(resolution: Any) -> Mapping[str, Any]:
    return {name: getattr(resolution, name) for name in resolution.__slots__}
