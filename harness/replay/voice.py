"""What an operator says in a replay, as the events that the inbox would have recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from pydantic import BaseModel, ValidationError

from harness.inbox.bodies import ActionBody, DiagnosisBody, EscalationBody, Webhook
from harness.ops import claims
from harness.ops.diagnosis.ranking import Cause
from harness.ops.monitoring.alerts import Alert
from harness.ops.recovery.controller import Handover
from harness.ops.recovery.strategies import Step
from harness.record.events import ACTION, ALERT, DIAGNOSIS, ESCALATION, Event

ALERTS, DIAGNOSES, ACTIONS, ESCALATIONS = "alerts", "diagnoses", "actions", "escalations"
SAID: Mapping[str, type[BaseModel]] = {ALERTS: Webhook, DIAGNOSES: DiagnosisBody, ACTIONS: ActionBody, ESCALATIONS: EscalationBody}
"""What can be said, in the order in which words of one moment are taken; the bodies are those of the inbox."""


class RecordingVoice:
    """Stamps every word with `now_ns`, which the replay moves on. An action is recorded, and changes nothing: the past is over."""

    def __init__(self, wall_offset_s: float) -> None:
        self._wall_offset_s = wall_offset_s
        self._numbers = {kind: count(1) for kind in (DIAGNOSIS, ACTION, ESCALATION)}
        self.now_ns = 0
        self.where = ""
        """Where in what somebody said a refused word stood, if that can be told."""
        self.events: list[Event] = []
        self.refused: list[str] = []
        """Words that the inbox would have refused, and why."""

    def alerts(self, changed: list[Alert]) -> None:
        self.hear(ALERTS, claims.webhook(changed, self._wall_offset_s))

    def diagnosis(self, causes: tuple[Cause, ...]) -> str | None:
        return self.hear(DIAGNOSES, claims.diagnosis(causes))

    def act(self, step: Step, diagnosis_id: str | None) -> None:
        self.hear(ACTIONS, claims.action(step, diagnosis_id))

    def escalate(self, handover: Handover, diagnosis_id: str | None) -> None:
        self.hear(ESCALATIONS, claims.escalation(handover, diagnosis_id))

    def hear(self, what: str, document: Any) -> str | None:
        """One of `SAID`, as a body. Returns the id under which it was taken, of what has one."""
        try:
            body = SAID[what].model_validate(document)
        except ValidationError as error:
            self.refuse(f"{SAID[what].__name__}: {_first(error.errors(include_url=False, include_context=False))}")
            return None
        match body:
            case Webhook():
                self.events += [Event(self.now_ns, ALERT, "claim", alert.to_event()) for alert in body.alerts]
                return None
            case ActionBody():
                action_id = self._take(ACTION, "action_id", {"step": "requested", **body.model_dump()})
                told = {"action_id": action_id, "step": "performed", "detail": "replayed: nothing was done"}
                self.events.append(Event(self.now_ns, ACTION, "truth", told))
                return action_id
            case DiagnosisBody():
                return self._take(DIAGNOSIS, "diagnosis_id", body.model_dump())
            case _:
                return self._take(ESCALATION, "escalation_id", body.model_dump())

    def refuse(self, why: str) -> None:
        """Keep why something was not taken."""
        self.refused.append(f"{self.where}{why}")

    def _take(self, kind: str, called: str, data: Mapping[str, Any]) -> str:
        """A claim under a number of its kind."""
        taken = f"{kind[0]}-{next(self._numbers[kind])}"
        self.events.append(Event(self.now_ns, kind, "claim", {called: taken, **data}))
        return taken


def _first(errors: Sequence[Any]) -> str:
    return f"{'.'.join(map(str, errors[0]['loc']))}: {errors[0]['msg']}"
