"""What an operator says in a replay, as the events that the inbox would have recorded."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from harness.inbox.bodies import ActionBody, DiagnosisBody, EscalationBody, Webhook
from harness.ops import claims
from harness.ops.diagnosis.ranking import Cause
from harness.ops.monitoring.alerts import Alert
from harness.ops.recovery.controller import Handover
from harness.ops.recovery.strategies import Step
from harness.record.events import ACTION, ALERT, DIAGNOSIS, ESCALATION, Event

_Body = TypeVar("_Body", bound=BaseModel)


class RecordingVoice:
    """Stamps every word with `now_ns`, which the replay moves on. An action is recorded, and changes nothing: the past is over."""

    def __init__(self, wall_offset_s: float) -> None:
        self._wall_offset_s = wall_offset_s
        self._numbers = {kind: count(1) for kind in (DIAGNOSIS, ACTION, ESCALATION)}
        self.now_ns = 0
        self.events: list[Event] = []
        self.refused: list[str] = []
        """Words that the inbox would have refused, and why."""

    def alerts(self, changed: list[Alert]) -> None:
        body = self._body(Webhook, claims.webhook(changed, self._wall_offset_s))
        self.events += [Event(self.now_ns, ALERT, "claim", alert.to_event()) for alert in body.alerts] if body else []

    def diagnosis(self, causes: tuple[Cause, ...]) -> str | None:
        body = self._body(DiagnosisBody, claims.diagnosis(causes))
        if body is None:
            return None
        diagnosis_id = f"d-{next(self._numbers[DIAGNOSIS])}"
        self.events.append(Event(self.now_ns, DIAGNOSIS, "claim", {"diagnosis_id": diagnosis_id, **body.model_dump()}))
        return diagnosis_id

    def act(self, step: Step, diagnosis_id: str | None) -> None:
        body = self._body(ActionBody, claims.action(step, diagnosis_id))
        if body is None:
            return
        action_id = f"a-{next(self._numbers[ACTION])}"
        self.events.append(Event(self.now_ns, ACTION, "claim", {"action_id": action_id, "step": "requested", **body.model_dump()}))
        told = {"action_id": action_id, "step": "performed", "detail": "replayed: nothing was done"}
        self.events.append(Event(self.now_ns, ACTION, "truth", told))

    def escalate(self, handover: Handover, diagnosis_id: str | None) -> None:
        body = self._body(EscalationBody, claims.escalation(handover, diagnosis_id))
        if body is not None:
            escalation_id = f"e-{next(self._numbers[ESCALATION])}"
            self.events.append(Event(self.now_ns, ESCALATION, "claim", {"escalation_id": escalation_id, **body.model_dump()}))

    def _body(self, model: type[_Body], document: Any) -> _Body | None:
        try:
            return model.model_validate(document)
        except ValidationError as error:
            self.refused.append(f"{model.__name__}: {_first(error.errors(include_url=False, include_context=False))}")
            return None


def _first(errors: Sequence[Any]) -> str:
    return f"{'.'.join(map(str, errors[0]['loc']))}: {errors[0]['msg']}"
