"""When to act, and when not to: settle, act, verify, climb the ladder, hand over to a person."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.ops.diagnosis.ranking import Cause
from harness.ops.recovery.guardrails import MAX_ACTIONS, WINDOW_S, Guardrails
from harness.ops.recovery.strategies import CHOICES, Choice, Rung, Situation, Step, ladder_for, wants_person
from harness.ops.targets import Targets

CONFIDENT = 0.6
SETTLE_S = 0.9  # a cause must lead the ranking that long before anything is done about it
COMES_BACK_S = 2.9  # a service that was silent is given so long: whoever deploys or restarts it has it back by then
MAX_ATTEMPTS = 2  # per cause; then it is for a person
PERSON_AFTER_S = 4.0  # a cause that no verb can heal is handed over when it has lasted that long
FORGOTTEN_AFTER_S = 30.0  # without the cause, its attempts are forgotten
GONE_AFTER_S = 5.0  # without the cause: the action before that is verified
HISTORY = 200
RESTARTED_BY_OTHERS = "InstanceDown"  # the symptom that ends by itself where somebody else restarts the instance
OWN_DOING = "InstanceMissing"  # the symptom that actions of our own bring about


@dataclass(frozen=True, slots=True)
class Handover:
    """An escalation to a person. `proposal` is what a person may allow, in the mode that asks for it."""

    service: str
    reason: str
    proposal: Rung = ()


Decision = Step | Handover
Approval = Callable[[Rung], bool]
"""Whether a person has allowed these steps."""


@dataclass(frozen=True, slots=True)
class Done:
    """One line of the history. `helped` is None until it is known."""

    t_s: float
    service: str
    kind: str
    rung: Rung
    helped: bool | None = None


@dataclass(slots=True)
class _Incident:
    first_s: float
    last_s: float
    since_s: float  # without a gap
    attempts: int = 0
    acted_s: float = float("-inf")
    patience_s: float = 0.0
    handed_over: bool = False
    proposed: Rung = ()
    gaps: int = 0  # how often it had gone, and came back


@dataclass(slots=True)
class Controller:
    """Decides on actions and escalations from the ranking of each round."""

    targets: Targets
    approved: Approval = lambda _: False
    choices: Sequence[Choice] = CHOICES
    _incidents: dict[tuple[str, str], _Incident] = field(default_factory=dict)
    _history: deque[Done] = field(default_factory=lambda: deque(maxlen=HISTORY))
    _rails: Guardrails = field(init=False)

    def __post_init__(self) -> None:
        targets = self.targets
        most = MAX_ACTIONS if targets.most_actions is None else targets.most_actions
        within_s = WINDOW_S if targets.within_s is None else targets.within_s
        self._rails = Guardrails(targets.time_scale, most, within_s, targets.cooldown_s)

    @property
    def history(self) -> tuple[Done, ...]:
        """What was done, oldest first, and whether it helped."""
        return tuple(self._history)

    def decide(
        self, t_s: float, causes: Sequence[Cause], *, alerting: bool, users_affected: bool, replicas: Mapping[str, int] | None = None
    ) -> list[Decision]:
        """What to do now. Nothing without a firing alert and a confident first cause."""
        self._forget(t_s)
        if not causes or not alerting:
            return []
        cause = causes[0]
        incident = self._seen(t_s, cause)
        situation = Situation(self.targets, users_affected, replicas or {}, incident.gaps > 0)
        if cause.confidence < CONFIDENT or t_s - incident.since_s < _settle_s(cause, situation) / self.targets.time_scale:
            return []
        if OWN_DOING in cause.signs and self._acted_on(t_s, cause.service):
            return []
        try:
            ladder = ladder_for(cause, situation, self.choices)
        except Exception as error:  # noqa: BLE001  # a strategy may be other people's code: it must not end the watch
            reason = f"{cause.kind} on {cause.service}: a strategy failed ({type(error).__name__}: {error})"
            return self._hand_over(cause, incident, reason)
        if not ladder:
            return self._no_verb(t_s, cause, incident)
        return self._climb(t_s, cause, incident, ladder)

    def refused(self, step: Step) -> list[Decision]:
        """The stack would not do it: then a person has to."""
        for place in range(len(self._history) - 1, -1, -1):
            done = self._history[place]
            if step in done.rung:
                self._history[place] = replace(done, helped=False)
                incident = self._incidents.get((done.service, done.kind))
                words = in_words((step,))
                cause = Cause(done.service, done.kind, 0.0, "")
                return self._hand_over(cause, incident, f"{done.kind} on {done.service}: {words} was refused") if incident else []
        return []

    def _acted_on(self, t_s: float, service: str) -> bool:
        """Lately: what we took out of rotation, or restarted, is missing by our own doing."""
        return any(d.service == service and t_s - d.t_s < WINDOW_S / self.targets.time_scale for d in self._history)

    def _seen(self, t_s: float, cause: Cause) -> _Incident:
        incident = self._incidents.setdefault((cause.service, cause.kind), _Incident(t_s, t_s, t_s))
        if t_s - incident.last_s > GONE_AFTER_S / self.targets.time_scale:
            incident.gaps += 1
            incident.since_s = t_s
        incident.last_s = t_s
        return incident

    def _no_verb(self, t_s: float, cause: Cause, incident: _Incident) -> list[Decision]:
        lasted = t_s - incident.first_s >= PERSON_AFTER_S / self.targets.time_scale
        if not wants_person(cause) or not lasted:
            return []
        return self._hand_over(cause, incident, f"{cause.kind} on {cause.service}: no action can heal it ({cause.evidence})")

    def _climb(self, t_s: float, cause: Cause, incident: _Incident, ladder: Sequence[Rung]) -> list[Decision]:
        """The next rung, once the one before has had its time. The last one may be tried again, if it is of a kind that can help then."""
        if t_s - incident.acted_s < incident.patience_s / self.targets.time_scale:
            return []
        if incident.attempts:
            self._verify(cause, helped=False)
        if incident.attempts >= MAX_ATTEMPTS:
            return self._hand_over(cause, incident, f"{cause.kind} on {cause.service} outlived {incident.attempts} actions")
        rung = ladder[min(incident.attempts, len(ladder) - 1)]
        if incident.attempts >= len(ladder) and rung[0].verb in _SETTLED_BY_ONE:
            return self._hand_over(cause, incident, f"{cause.kind} on {cause.service} outlived {rung[0].verb}")
        if self._rails.cooling(t_s, rung):
            return []
        if self._rails.exhausted(t_s, rung):
            reason = f"{self._rails.lately} actions in {self._rails.window_s:.0f} s did not bring calm; now {cause.kind} on {cause.service}"
            return self._hand_over(cause, incident, reason)
        return self._act(t_s, cause, incident, rung)

    def _act(self, t_s: float, cause: Cause, incident: _Incident, rung: Rung) -> list[Decision]:
        mode = self.targets.recovery_mode
        if mode == "dry_run" or (mode == "approve" and not self.approved(rung)):
            if incident.proposed == rung:
                return []
            incident.proposed = rung
            return [Handover(cause.service, f"{cause.kind} on {cause.service}: {in_words(rung)} would be next ({cause.evidence})", rung)]
        incident.attempts += 1
        incident.acted_s, incident.patience_s = t_s, max(self._rails.cooldown_s(step) for step in rung)
        self._rails.note(t_s, rung)
        self._history.append(Done(t_s, cause.service, cause.kind, rung))
        return list(rung)

    def _hand_over(self, cause: Cause, incident: _Incident, reason: str) -> list[Decision]:
        if incident.handed_over:
            return []
        incident.handed_over = True
        return [Handover(cause.service, reason)]

    def _verify(self, cause: Cause, *, helped: bool) -> None:
        """The latest action about this cause gets its result, once."""
        for place in range(len(self._history) - 1, -1, -1):
            done = self._history[place]
            if (done.service, done.kind) == (cause.service, cause.kind):
                if done.helped is None:
                    self._history[place] = replace(done, helped=helped)
                return

    def _forget(self, t_s: float) -> None:
        scale = self.targets.time_scale
        for (service, kind), incident in list(self._incidents.items()):
            away_s = t_s - incident.last_s
            if incident.attempts and away_s > GONE_AFTER_S / scale:
                self._verify(Cause(service, kind, 0.0, ""), helped=True)
            if away_s > FORGOTTEN_AFTER_S / scale:
                del self._incidents[service, kind]


def _settle_s(cause: Cause, situation: Situation) -> float:
    """How long a cause must lead, without a gap, before anything is done about it.

    A service whose instance refuses connections may be on its way back: a deploy or an orchestrator starts it again at once, and a second
    restart would only take it away once more. Stores are not deployed, and a hang does not end by itself.
    """
    returns = cause.kind == "crash" and situation.role(cause.service) == "http" and RESTARTED_BY_OTHERS in cause.signs
    return COMES_BACK_S if returns else SETTLE_S


def in_words(rung: Rung) -> str:
    """`restart retrieval-2`: what a person reads, and writes to allow it."""
    return ", ".join(f"{s.verb} {s.instance or s.service}" for s in rung)


_SETTLED_BY_ONE = ("switch_provider", "rollback", "clear_cache", "shed_load", "failover", "reindex")
"""Done is done: to do it again changes nothing."""
