"""One round of the operator: look, derive, detect, alert, diagnose, decide. Pure but for what it is given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from harness.ops.diagnosis.advice import Advice, Adviser
from harness.ops.diagnosis.graph import Graph
from harness.ops.diagnosis.ranking import Cause, rank
from harness.ops.diagnosis.rules.base import View
from harness.ops.diagnosis.rules.catalogue import FamilyRules
from harness.ops.monitoring.alerts import Alert, AlertBook
from harness.ops.monitoring.inhibition import inhibit
from harness.ops.monitoring.rounds import CLIENT, Round
from harness.ops.monitoring.signals import WATCHED, derive
from harness.ops.monitoring.symptoms import Symptom, SymptomRules
from harness.ops.monitoring.windows import Windows
from harness.ops.recovery.approvals import ApprovalFile
from harness.ops.recovery.controller import Controller, Decision, Done, Handover
from harness.ops.recovery.strategies import CHOICES, Choice, Step
from harness.ops.targets import Targets

WINDOW_S = 5.0
KEPT_S = 60.0
_USER_FACING = ("UserErrorsHigh", "UserLatencyHigh")


class Voice(Protocol):
    """Where claims and actions go."""

    def alerts(self, changed: list[Alert]) -> None: ...

    def diagnosis(self, causes: tuple[Cause, ...]) -> str | None:
        """Returns the id under which it was taken."""
        ...

    def act(self, step: Step, diagnosis_id: str | None) -> bool | None:
        """False where it is refused."""
        ...

    def escalate(self, handover: Handover, diagnosis_id: str | None) -> None: ...


class Alerting(Protocol):
    """Where alerts come from, in the place of symptoms that last: a rule file, for one."""

    @property
    def firing(self) -> tuple[Alert, ...]: ...

    def changes(self, round_: Round) -> list[Alert]:
        """The alerts that begin to fire, or are resolved, in this round."""
        ...


@dataclass(slots=True)
class Operator:
    """Holds what earlier rounds taught; `round` is called once a second."""

    targets: Targets
    voice: Voice
    rules: SymptomRules
    windows: Windows = field(init=False)
    alerting: Alerting | None = None
    choices: Sequence[Choice] = CHOICES
    families: FamilyRules = field(init=False)
    _book: AlertBook = field(init=False)
    _controller: Controller = field(init=False)
    _graph: Graph = field(init=False)
    _adviser: Adviser = field(default_factory=Adviser)
    _told: tuple[tuple[str, str], ...] = ()
    _diagnosis_id: str | None = None
    _replicas: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.windows = Windows(keep_s=KEPT_S / min(1.0, self.targets.time_scale))
        self._book = AlertBook(self.targets.time_scale)
        allowed = ApprovalFile(self.targets.approvals) if self.targets.approvals is not None else None
        self._controller = Controller(self.targets, allowed or (lambda _: False), self.choices)
        self._graph = Graph(self.targets.edges)
        self.families = FamilyRules.of(self.targets.kinds, self._graph)

    def round(self, round_: Round) -> None:
        """Take in one round of looking, and speak or act where that is due."""
        for look in round_.looks:
            self.windows.add(round_.t_s, look.endpoint.service, look.endpoint.instance, _watched(look.samples))
        self.windows.add(round_.t_s, CLIENT, CLIENT, _watched(round_.client))
        signals = derive(self.windows, round_.t_s, WINDOW_S / self.targets.time_scale)
        view = View(round_, signals, self.windows, self.targets.kinds, self.targets.time_scale)
        self._graph.observe(edge for edge in signals.edges if set(edge) <= self.targets.kinds.keys())
        self._adviser.look(view)
        symptoms = self.families.look(view, self.rules.look(round_, signals))
        lasting = self._book.update(round_.t_s, inhibit(symptoms, self._graph))
        changed = lasting if self.alerting is None else self.alerting.changes(round_)
        if changed:
            self.voice.alerts(changed)
        causes = self._diagnose(symptoms)
        self._recover(round_, causes)

    def consider(self, t_s: float, cause: Cause) -> None:
        """Act upon a cause that somebody else has found, behind the same guardrails."""
        decisions = self._controller.decide(t_s, (cause,), alerting=True, users_affected=False, replicas=self._replicas)
        diagnosis_id = self.voice.diagnosis((cause,)) if decisions else None
        for decision in decisions:
            self._carry_out(decision, diagnosis_id)

    @property
    def history(self) -> tuple[Done, ...]:
        """What was done, oldest first, and whether it helped."""
        return self._controller.history

    def advice(self) -> tuple[Advice, ...]:
        """What the rounds so far speak for."""
        return self._adviser.advice()

    @property
    def firing(self) -> tuple[Alert, ...]:
        """Alerts that fire now: by the rule files, where there are any."""
        return self._book.firing if self.alerting is None else self.alerting.firing

    def _diagnose(self, symptoms: tuple[Symptom, ...]) -> tuple[Cause, ...]:
        """Rank while an alert fires; tell when the order changed."""
        if not self.firing:
            self._told, self._diagnosis_id = (), None
            return ()
        causes = rank(symptoms, self._graph)
        order = tuple((c.service, c.kind) for c in causes)
        if causes and order != self._told:
            self._told, self._diagnosis_id = order, self.voice.diagnosis(causes)
        return causes

    def _recover(self, round_: Round, causes: tuple[Cause, ...]) -> None:
        firing = self.firing
        affected = any(a.labels["alertname"] in _USER_FACING for a in self._book.firing)
        self._replicas = Counter(look.endpoint.service for look in round_.looks)
        decisions = self._controller.decide(round_.t_s, causes, alerting=bool(firing), users_affected=affected, replicas=self._replicas)
        for decision in decisions:
            self._carry_out(decision, self._diagnosis_id)

    def _carry_out(self, decision: Decision, diagnosis_id: str | None) -> None:
        if isinstance(decision, Handover):
            self.voice.escalate(decision, diagnosis_id)
        elif self.voice.act(decision, diagnosis_id) is False:
            for handover in self._controller.refused(decision):
                self._carry_out(handover, diagnosis_id)


def _watched(samples: Any) -> list[tuple[str, Mapping[str, str], float]]:
    return [s for s in samples if s[0] in WATCHED]
