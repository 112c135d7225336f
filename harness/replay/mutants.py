"""Operators with one part missing, and telemetry with one part missing or late. Whoever watches the watchers should notice each."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from harness.ops.assembly import assemble
from harness.ops.diagnosis.ranking import Cause
from harness.ops.monitoring.alerts import FOR_S, Alert
from harness.ops.monitoring.rounds import Look, Round
from harness.ops.monitoring.signals import WATCHED, Signals
from harness.ops.monitoring.symptoms import Symptom, SymptomRules
from harness.ops.operator import Operator, Voice
from harness.ops.recovery.controller import Handover
from harness.ops.recovery.strategies import CHOICES, Situation, Step, ladder_for
from harness.ops.targets import Targets
from harness.replay.play import Assemble
from harness.replay.recording import Samples, Seen
from harness.replay.replaying import Alter

DELAY_S = 10.0  # by which late telemetry is late: two windows of the operator
LOOKS = "failed looks"
PROBES = "direct probes"

# What changes nothing, and why. Such a mutant is left out of the score, unless a replay differs all the same: then the reason is wrong.
EQUIVALENT: Mapping[str, str] = {
    "rag_degraded_total": "the operator keeps it, and no rule reads it",
    "rag_queue_length": "the operator keeps it, and no rule reads it",
}


@dataclass(frozen=True)
class Mutant:
    """`kind`: rule, blind, delay or strategy; `part`: what is missing."""

    kind: str
    part: str
    assembled: Assemble = assemble
    alter: Alter | None = None

    @property
    def name(self) -> str:
        return f"{self.kind} {self.part}"

    @property
    def equivalent(self) -> str | None:
        """Why it cannot be noticed, if it cannot."""
        return EQUIVALENT.get(self.part)


def mutants() -> tuple[Mutant, ...]:
    """Every rule and every strategy off; every metric, failed looks and direct probes gone, or `DELAY_S` late."""
    rules = [Mutant("rule", name, partial(_without_rule, name)) for name in FOR_S]
    seen = (*WATCHED, LOOKS, PROBES)
    blind = [Mutant("blind", part, alter=partial(_blind, part)) for part in seen]
    late = [Mutant("delay", part, alter=partial(_late, part)) for part in seen]
    strategies = [Mutant("strategy", verb, partial(_without_verb, verb)) for verb in _verbs()]
    return (*rules, *blind, *late, *strategies)


def _verbs() -> tuple[str, ...]:
    """Those that the operator answers any cause with, in a system of two instances of each kind of service, and a second provider."""
    kinds = {choice.role: choice.role for choice in CHOICES} | {"llm_fallback": "llm"}
    targets = Targets(kinds=kinds, registry=None, static={}, edges=())
    suffering = Situation(targets, users_affected=True, replicas=dict.fromkeys(kinds, 2), repeated=True)
    causes = [Cause(c.role, kind, 1.0, "", (f"{c.role}-1",), (c.sign,)) for c in CHOICES for kind in c.kinds]
    return tuple(sorted({step.verb for cause in causes for rung in ladder_for(cause, suffering) for step in rung}))


@dataclass
class _Silenced:
    """All rules but one."""

    rules: SymptomRules
    name: str

    def look(self, round_: Round, signals: Signals) -> tuple[Symptom, ...]:
        return tuple(s for s in self.rules.look(round_, signals) if s.name != self.name)


def _without_rule(name: str, targets: Targets, voice: Voice) -> Operator:
    operator = assemble(targets, voice)
    operator.rules = _Silenced(operator.rules, name)  # type: ignore[assignment]  # the part of the rules that an operator asks
    return operator


@dataclass
class _Idle:
    """Says everything, and does all but one thing."""

    voice: Voice
    verb: str

    def alerts(self, changed: list[Alert]) -> None:
        self.voice.alerts(changed)

    def diagnosis(self, causes: tuple[Cause, ...]) -> str | None:
        return self.voice.diagnosis(causes)

    def escalate(self, handover: Handover, diagnosis_id: str | None) -> None:
        self.voice.escalate(handover, diagnosis_id)

    def act(self, step: Step, diagnosis_id: str | None) -> bool | None:
        return self.voice.act(step, diagnosis_id) if step.verb != self.verb else None


def _without_verb(verb: str, targets: Targets, voice: Voice) -> Operator:
    return assemble(targets, _Idle(voice, verb))


def _blind(part: str, rounds: Iterator[Seen]) -> Iterator[Seen]:
    for seen in rounds:
        yield replace(seen, round=_with(seen.round, part, None))


def _late(part: str, rounds: Iterator[Seen]) -> Iterator[Seen]:
    """What is seen of the part is what there was `DELAY_S` earlier; nothing, in the first seconds."""
    waiting: deque[Round] = deque()
    arrived: Round | None = None
    for seen in rounds:
        waiting.append(seen.round)
        while waiting and waiting[0].t_s <= seen.round.t_s - DELAY_S:
            arrived = waiting.popleft()
        yield replace(seen, round=_with(seen.round, part, arrived))


def _with(now: Round, part: str, then: Round | None) -> Round:
    """This round, with that part of an earlier one in the place of its own."""
    if part in (LOOKS, PROBES):
        chosen = _failed if part == LOOKS else _direct
        kept = [look for look in now.looks if not chosen(look)]
        listed = {look.endpoint.instance for look in kept}
        earlier = [look for look in (then.looks if then is not None else ()) if chosen(look)]
        return replace(now, looks=(*kept, *(look for look in earlier if look.endpoint.instance not in listed)))
    before = {look.endpoint.instance: look.samples for look in then.looks} if then is not None else {}
    looks = tuple(replace(look, samples=_samples(look.samples, before.get(look.endpoint.instance, ()), part)) for look in now.looks)
    return replace(now, looks=looks, client=_samples(now.client, then.client if then is not None else (), part))


def _failed(look: Look) -> bool:
    return look.error is not None


def _direct(look: Look) -> bool:
    return not look.endpoint.url.startswith("http")


def _samples(now: Samples, then: Samples, name: str) -> Sequence[tuple[str, Mapping[str, str], float]]:
    return [*(s for s in now if s[0] != name), *(s for s in then if s[0] == name and now)]
