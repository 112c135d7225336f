"""All rules, and what is made of what they say together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.ops.diagnosis.graph import Graph
from harness.ops.diagnosis.rules.base import Rule, View
from harness.ops.diagnosis.rules.builds import BuildRules
from harness.ops.diagnosis.rules.edges import WayRules, WriteRules
from harness.ops.diagnosis.rules.entry import DocumentRules, EntryRules
from harness.ops.diagnosis.rules.noise import CommonSlowness, StillAnswering
from harness.ops.diagnosis.rules.providers import ProviderRules
from harness.ops.diagnosis.rules.quality import CanaryRules, UserQualityRules
from harness.ops.diagnosis.rules.resources import DescriptorRules, MemoryRules, ProcessorRules
from harness.ops.diagnosis.rules.stalls import StallRules
from harness.ops.diagnosis.rules.stores import CacheRules, DatabaseRules
from harness.ops.diagnosis.rules.telemetry import TelemetryRules
from harness.ops.diagnosis.rules.unusable import UnusableRules
from harness.ops.diagnosis.rules.vectors import VectorRules
from harness.ops.monitoring.symptoms import Symptom

_ON_EDGES = ("CallErrors", "RateLimited")
_SLOW_CALLS = ("CallLatencyHigh", "CallsQueueing")
_OF_LOAD = ("latency", "errors", "hang")
"""What any service shows that has too much to do: with more coming in than was offered, it says nothing of its own."""


@dataclass(slots=True)
class FamilyRules:
    """Asked each round, beside the rules on latency, errors and silence that hold for any service."""

    rules: tuple[Rule, ...]
    builds: BuildRules = field(default_factory=BuildRules)
    slowness: CommonSlowness = field(default_factory=CommonSlowness)
    silence: StillAnswering = field(default_factory=StillAnswering)

    @classmethod
    def of(cls, kinds: Mapping[str, str], graph: Graph) -> FamilyRules:
        """Those that fit what is watched."""
        by_kind = {kind: [s for s, k in kinds.items() if k == kind] for kind in ("llm", "postgres", "vector", "redis")}
        providers = tuple(by_kind["llm"])
        passing_on = {s for s, k in kinds.items() if k == "tls"}
        entries = [s for s in kinds if s not in passing_on and not graph.callers(s) - passing_on and graph.callees(s)]
        stores = tuple(by_kind["vector"] + by_kind["postgres"])
        canaries = CanaryRules(stores, providers)
        return cls(
            (
                DatabaseRules(),
                CacheRules(),
                MemoryRules(),
                ProcessorRules(),
                DescriptorRules(),
                StallRules(),
                TelemetryRules(),
                ProviderRules(),
                UnusableRules(providers),
                WayRules(),
                WriteRules(),
                VectorRules(tuple(by_kind["vector"])),
                EntryRules(entries[0] if len(entries) == 1 else None),
                DocumentRules(),
                canaries,
                UserQualityRules(next(iter(by_kind["redis"]), None), stores, next(iter(providers), None), canaries),
            )
        )

    def look(self, view: View, general: Sequence[Symptom]) -> tuple[Symptom, ...]:
        """All symptoms of the moment, the `general` ones among them, without those that another one says better."""
        general = self.silence.withhold(view, self.slowness.withhold(view, general))
        found = [*general, *(s for rule in self.rules for s in rule.look(view)), *self.builds.look(view)]
        return self.builds.suspect(view, tuple(without_the_vague(found)))


def without_the_vague(symptoms: Sequence[Symptom]) -> list[Symptom]:
    """Failures on a broken way are no failures of the callee; instances whose descriptors are used up are not just silent, and those that
    are held back, or have too much to do, do not just stand still.
    """
    broken = {s.edge for s in symptoms if s.name == "WayBroken"}
    exhausted = {(s.service, s.instance) for s in symptoms if s.name in ("DescriptorsExhausted", "MetricsLost")}
    full = {s.service for s in symptoms if s.name == "SessionsExhausted"}
    too_much = {s.service for s in symptoms if s.kind == "load"}
    held_back = {s.instance for s in symptoms if s.kind in ("cpu", "memory")}
    measuring_itself = {s.service for s in symptoms if s.name in ("InstanceStalls", "ProcessorThrottled")}  # whoever it calls looks slow
    return [
        s
        for s in symptoms
        if not (s.name in _ON_EDGES and s.edge in broken)
        and not (too_much and s.service not in too_much and s.kind in _OF_LOAD and s.directness is None)
        and not (s.name in _SLOW_CALLS and s.edge is not None and s.edge[0] in measuring_itself)
        and not (s.name == "AnswerLength" and too_much)  # strangers ask other questions
        and not (s.name == "InstanceStalls" and (too_much or s.instance in held_back))
        and not (s.name == "InstanceDown" and ((s.service, s.instance) in exhausted or s.service in full))
    ]
