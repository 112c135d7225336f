"""When to act, and when not to: settle, act once, verify, try once more, then hand over to a person."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.ops.diagnosis.ranking import Cause
from harness.ops.recovery.strategies import Step, steps_for, wants_person
from harness.ops.targets import Targets

CONFIDENT = 0.6
SETTLE_S = 0.9  # a cause must lead the ranking that long before anything is done about it
COOLDOWN_S = 12.0  # per cause: the time an action gets to show its effect
MAX_ATTEMPTS = 2  # per cause
WINDOW_S = 60.0
MAX_ACTIONS = 4  # in any such window, over all causes
PERSON_AFTER_S = 4.0  # a cause that no verb can heal is handed over when it has lasted that long
FORGOTTEN_AFTER_S = 30.0  # without the cause, its attempts are forgotten


@dataclass(frozen=True, slots=True)
class Handover:
    """An escalation to a person."""

    service: str
    reason: str


@dataclass(slots=True)
class _Incident:
    first_s: float
    last_s: float
    attempts: int = 0
    acted_s: float = float("-inf")
    handed_over: bool = False


@dataclass(slots=True)
class Controller:
    """Decides on actions and escalations from the ranking of each round."""

    targets: Targets
    _incidents: dict[tuple[str, str], _Incident] = field(default_factory=dict)
    _acted: deque[float] = field(default_factory=deque)

    def decide(self, t_s: float, causes: Sequence[Cause], *, alerting: bool, users_affected: bool) -> list[Step | Handover]:
        """What to do now. Nothing without a firing alert and a confident first cause."""
        self._forget(t_s)
        if not causes or not alerting:
            return []
        cause = causes[0]
        incident = self._incidents.setdefault((cause.service, cause.kind), _Incident(t_s, t_s))
        incident.last_s = t_s
        scale = self.targets.time_scale
        if cause.confidence < CONFIDENT or t_s - incident.first_s < SETTLE_S / scale:
            return []
        steps = steps_for(cause, self.targets, users_affected=users_affected)
        if not steps:
            return self._no_verb(t_s, cause, incident)
        return self._act(t_s, cause, incident, steps)

    def _no_verb(self, t_s: float, cause: Cause, incident: _Incident) -> list[Step | Handover]:
        lasted = t_s - incident.first_s >= PERSON_AFTER_S / self.targets.time_scale
        if not wants_person(cause) or not lasted:
            return []
        return self._hand_over(cause, incident, f"{cause.kind} on {cause.service}: no action can heal it ({cause.evidence})")

    def _act(self, t_s: float, cause: Cause, incident: _Incident, steps: Sequence[Step]) -> list[Step | Handover]:
        if t_s - incident.acted_s < COOLDOWN_S / self.targets.time_scale:
            return []
        if incident.attempts >= MAX_ATTEMPTS:
            return self._hand_over(cause, incident, f"{cause.kind} on {cause.service} outlived {incident.attempts} actions")
        if len(self._acted) + len(steps) > MAX_ACTIONS:
            reason = f"{len(self._acted)} actions in {WINDOW_S:.0f} s did not bring calm; now {cause.kind} on {cause.service}"
            return self._hand_over(cause, incident, reason)
        incident.attempts += 1
        incident.acted_s = t_s
        self._acted.extend([t_s] * len(steps))
        return list(steps)

    def _hand_over(self, cause: Cause, incident: _Incident, reason: str) -> list[Step | Handover]:
        if incident.handed_over:
            return []
        incident.handed_over = True
        return [Handover(cause.service, reason)]

    def _forget(self, t_s: float) -> None:
        scale = self.targets.time_scale
        while self._acted and self._acted[0] < t_s - WINDOW_S / scale:
            self._acted.popleft()
        for key in [k for k, i in self._incidents.items() if t_s - i.last_s > FORGOTTEN_AFTER_S / scale]:
            del self._incidents[key]
