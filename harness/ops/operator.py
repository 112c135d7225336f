"""One round of the operator: look, derive, detect, alert, diagnose, decide. Pure but for what it is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from harness.ops.diagnosis.graph import Graph
from harness.ops.diagnosis.ranking import Cause, rank
from harness.ops.monitoring.alerts import Alert, AlertBook
from harness.ops.monitoring.inhibition import inhibit
from harness.ops.monitoring.rounds import CLIENT, Round
from harness.ops.monitoring.signals import WATCHED, derive
from harness.ops.monitoring.symptoms import Symptom, SymptomRules
from harness.ops.monitoring.windows import Windows
from harness.ops.recovery.controller import Controller, Handover
from harness.ops.recovery.strategies import Step
from harness.ops.targets import Targets

WINDOW_S = 5.0
_USER_FACING = ("UserErrorsHigh", "UserLatencyHigh")


class Voice(Protocol):
    """Where claims and actions go."""

    def alerts(self, changed: list[Alert]) -> None: ...

    def diagnosis(self, causes: tuple[Cause, ...]) -> str | None:
        """Returns the id under which it was taken."""
        ...

    def act(self, step: Step, diagnosis_id: str | None) -> None: ...

    def escalate(self, handover: Handover, diagnosis_id: str | None) -> None: ...


@dataclass(slots=True)
class Operator:
    """Holds what earlier rounds taught; `round` is called once a second."""

    targets: Targets
    voice: Voice
    rules: SymptomRules
    windows: Windows = field(default_factory=lambda: Windows(keep_s=60.0))
    _book: AlertBook = field(init=False)
    _controller: Controller = field(init=False)
    _graph: Graph = field(init=False)
    _told: tuple[tuple[str, str], ...] = ()
    _diagnosis_id: str | None = None

    def __post_init__(self) -> None:
        self._book = AlertBook(self.targets.time_scale)
        self._controller = Controller(self.targets)
        self._graph = Graph(self.targets.edges)

    def round(self, round_: Round) -> None:
        """Take in one round of looking, and speak or act where that is due."""
        for look in round_.looks:
            self.windows.add(round_.t_s, look.endpoint.service, look.endpoint.instance, _watched(look.samples))
        self.windows.add(round_.t_s, CLIENT, CLIENT, _watched(round_.client))
        symptoms = self.rules.look(round_, derive(self.windows, round_.t_s, WINDOW_S / self.targets.time_scale))
        changed = self._book.update(round_.t_s, inhibit(symptoms, self._graph))
        if changed:
            self.voice.alerts(changed)
        causes = self._diagnose(symptoms)
        self._recover(round_.t_s, causes)

    @property
    def firing(self) -> tuple[Alert, ...]:
        """Alerts that fire now."""
        return self._book.firing

    def _diagnose(self, symptoms: tuple[Symptom, ...]) -> tuple[Cause, ...]:
        """Rank while an alert fires; tell when the order changed."""
        if not self._book.firing:
            self._told, self._diagnosis_id = (), None
            return ()
        causes = rank(symptoms, self._graph)
        order = tuple((c.service, c.kind) for c in causes)
        if causes and order != self._told:
            self._told, self._diagnosis_id = order, self.voice.diagnosis(causes)
        return causes

    def _recover(self, t_s: float, causes: tuple[Cause, ...]) -> None:
        firing = self._book.firing
        affected = any(a.labels["alertname"] in _USER_FACING for a in firing)
        for decision in self._controller.decide(t_s, causes, alerting=bool(firing), users_affected=affected):
            if isinstance(decision, Step):
                self.voice.act(decision, self._diagnosis_id)
            else:
                self.voice.escalate(decision, self._diagnosis_id)


def _watched(samples: Any) -> list[tuple[str, Mapping[str, str], float]]:
    return [s for s in samples if s[0] in WATCHED]
