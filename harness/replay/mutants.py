"""Operators with one part missing, and telemetry with one part missing or late. Whoever watches the watchers should notice each."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.ops.diagnosis.ranking import Cause
from harness.ops.monitoring.alerts import FOR_S, Alert
from harness.ops.monitoring.rounds import Look, Round
from harness.ops.monitoring.signals import WATCHED
from harness.ops.operator import Voice
from harness.ops.recovery.controller import Handover
from harness.ops.recovery.strategies import CHOICES, Situation, Step, ladder_for
from harness.ops.targets import Targets
from harness.replay.recording import Samples, Seen

DELAY_S = 10.0  # by which late telemetry is late: two windows of the operator
LOOKS = "failed looks"
PROBES = "direct probes"
RULE, BLIND, DELAY, STRATEGY = "rule", "blind", "delay", "strategy"
KINDS = (RULE, BLIND, DELAY, STRATEGY)

OF_FAMILIES = (
    "AnswerLength", "AnswersUnusable", "AnswersWrong", "CacheEmptied", "CacheEvicting", "CacheSlow", "CanaryWrong", "ClockSkew",
    "CollectionRecreated", "ConnectionsHeld", "DatabaseReadOnly", "DescriptorsExhausted", "DiskWaits", "DocumentsDead",
    "DocumentsRefused", "DocumentsWaiting", "HitsRejected", "InstanceMissing", "InstanceStalls", "LoadUnexpected", "LockHeld",
    "LockWaits", "MemoryGrowing", "MemoryNearLimit", "MetricsLost", "MetricsStale", "ModelChanged", "ProcessorContended",
    "ProcessorThrottled", "SearchedByWords", "SessionsExhausted", "TokensSlow", "Unauthorized", "UsageMissing", "VersionSlower",
    "WayBroken", "WritesFail",
)  # fmt: skip
"""Symptoms that the rules of families of faults name, beside those that hold for any service."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """`kind`: rule, blind, delay or strategy; `part`: the symptom, metric or verb that is missing, or late."""

    kind: str
    part: str

    @property
    def name(self) -> str:
        return f"{self.kind} {self.part}"

    def voice(self, voice: Voice) -> Voice:
        """What the operator speaks through: for a strategy, one that keeps its verb to itself."""
        return _Idle(voice, self.part) if self.kind == STRATEGY else voice

    def rounds(self, rounds: Iterator[Seen]) -> Iterator[Seen]:
        """What it gets to see."""
        if self.kind == BLIND:
            return _blind(self.part, rounds)
        return _late(self.part, rounds) if self.kind == DELAY else rounds

    @property
    def silent(self) -> str:
        """The symptom that none of its rules names; empty: none is missing."""
        return self.part if self.kind == RULE else ""


def mutants() -> tuple[Mutant, ...]:
    """Every rule and every strategy off; every metric, failed looks and direct probes gone, or `DELAY_S` late."""
    parts = {RULE: (*FOR_S, *OF_FAMILIES), BLIND: (*WATCHED, LOOKS, PROBES), DELAY: (*WATCHED, LOOKS, PROBES), STRATEGY: _verbs()}
    return tuple(Mutant(kind, part) for kind in KINDS for part in parts[kind])


def _verbs() -> tuple[str, ...]:
    """Those that the operator answers any cause with, in a system of two instances of each kind of service, and a second provider."""
    kinds = {choice.role: choice.role for choice in CHOICES} | {"llm_fallback": "llm"}
    targets = Targets(kinds=kinds, registry=None, static={}, edges=())
    suffering = Situation(targets, users_affected=True, replicas=dict.fromkeys(kinds, 2), repeated=True)
    causes = [Cause(c.role, kind, 1.0, "", (f"{c.role}-1",), (c.sign,)) for c in CHOICES for kind in c.kinds]
    return tuple(sorted({step.verb for cause in causes for rung in ladder_for(cause, suffering) for step in rung}))


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


def parts_seen(rounds: Iterator[Seen]) -> frozenset[str]:
    """Metrics that some look of the run has, and `LOOKS` and `PROBES` where there are any: what can be blinded or delayed at all."""
    found: set[str] = set()
    for seen in rounds:
        found.update(name for name, _, _ in seen.round.client)
        for look in seen.round.looks:
            found.update(name for name, _, _ in look.samples)
            found.update(part for part, chosen in ((LOOKS, _failed), (PROBES, _direct)) if chosen(look))
    return frozenset(found)
