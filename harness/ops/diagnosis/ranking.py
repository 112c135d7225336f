"""Rank causes: strong direct evidence first, and what a callee explains is no cause of its own.

The order of evidence follows what holds in published comparisons of root cause methods: simple robust rules over the graph beat
learned models; a caller's anomaly is explained away by its callee's, weight x (1 - 0.7 * explained).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from harness.ops.diagnosis.graph import Graph
from harness.ops.monitoring.symptoms import Symptom

EXPLAINED_AWAY = 0.7
AT_MOST = 3
WORTH_NAMING = 0.25

# How directly a symptom points at its service as the cause.
_DIRECTNESS = {
    "InstanceDown": 0.95,
    "CertificateInvalid": 0.95,
    "RateLimited": 0.9,
    "ProbeSlow": 0.85,
    "CallLatencyHigh": 0.8,
    "CallsQueueing": 0.75,
    "CallErrors": 0.7,
    "ServiceErrors": 0.5,
    "ServiceLatencyHigh": 0.5,
    "ServiceQueueing": 0.5,
}


@dataclass(frozen=True, slots=True)
class Cause:
    """A ranked cause; `service` is `caller->callee` when the edge itself is to blame."""

    service: str
    kind: str
    confidence: float
    evidence: str
    instances: tuple[str, ...] = ()
    signs: tuple[str, ...] = ()  # names of the symptoms that it was drawn from


def rank(symptoms: Sequence[Symptom], graph: Graph) -> tuple[Cause, ...]:
    """At most three causes, best first; empty when nothing points anywhere (what users see is no cause)."""
    pointing = [s for s in symptoms if _directness(s) > 0.0]
    candidates = _merge(_candidate(s, pointing) for s in pointing)
    ranked = sorted((_explain(c, candidates, graph) for c in candidates), key=lambda c: (-c.confidence, c.service, c.kind))
    return tuple(c for c in ranked if c.confidence >= WORTH_NAMING)[:AT_MOST]


def _candidate(symptom: Symptom, symptoms: Sequence[Symptom]) -> Cause:
    service, kind = symptom.service, symptom.kind
    on_the_way = kind == "network" or (kind == "latency" and symptom.edge and not _callee_is_slow_itself(symptom.edge, symptoms))
    if symptom.edge is not None and on_the_way:
        service, kind = "->".join(symptom.edge), "network"
    instances = (symptom.instance,) if symptom.instance else ()
    return Cause(service, kind, _directness(symptom), symptom.evidence, instances, (symptom.name,))


def _directness(symptom: Symptom) -> float:
    return _DIRECTNESS.get(symptom.name, 0.0) if symptom.directness is None else symptom.directness


_OF_ITSELF = (
    "ServiceLatencyHigh", "ServiceQueueing", "ProbeSlow", "InstanceDown", "CertificateInvalid", "RateLimited", "LockHeld", "LockWaits",
    "SessionsExhausted", "CacheSlow", "CacheEvicting", "MemoryGrowing", "MemoryNearLimit", "ProcessorThrottled", "ProcessorContended",
    "DescriptorsExhausted", "InstanceStalls", "DiskWaits",
)  # fmt: skip


def _callee_is_slow_itself(edge: tuple[str, str], symptoms: Sequence[Symptom]) -> bool:
    """Does anything but this one caller's calls say that the callee is slow, or down?

    A callee's own latency, a direct probe, a failed look, or another caller that sees the same. If only one caller sees it and the
    callee itself is well, it is the way between them.
    """
    caller, callee = edge
    return any(
        s.service == callee and (s.name in _OF_ITSELF or (s.edge is not None and s.edge[0] != caller and s.kind in ("latency", "hang")))
        for s in symptoms
    )


def _merge(causes: Iterable[Cause]) -> list[Cause]:
    """One candidate per (service, kind): the strongest evidence, a little stronger for each further piece."""
    grouped: dict[tuple[str, str], list[Cause]] = {}
    for cause in causes:
        grouped.setdefault((cause.service, cause.kind), []).append(cause)
    merged = []
    for (service, kind), group in grouped.items():
        confidence = min(0.99, max(c.confidence for c in group) + 0.02 * (len(group) - 1))
        evidence = "; ".join(dict.fromkeys(c.evidence for c in group))
        instances = tuple(sorted({i for c in group for i in c.instances}))
        merged.append(Cause(service, kind, confidence, evidence, instances, tuple(sorted({n for c in group for n in c.signs}))))
    return merged


def _explain(cause: Cause, candidates: Sequence[Cause], graph: Graph) -> Cause:
    """Weaken a candidate by the strongest one that lies beneath it, or that says more about the same service."""
    explained = max((_explains(other, cause, graph) for other in candidates if other is not cause), default=0.0)
    return replace(cause, confidence=round(cause.confidence * (1 - EXPLAINED_AWAY * explained), 4))


_OF_LOAD = ("latency", "errors", "hang", "network", "pool", "cpu")


def _below(cause: Cause, other: Cause, graph: Graph) -> bool:
    return cause.service.rpartition("->")[2] in graph.reachable(other.service)


_VAGUE = ("latency", "errors")  # what any fault of a service may look like


def _explains(other: Cause, cause: Cause, graph: Graph) -> float:
    ratio = min(1.0, other.confidence / cause.confidence)
    if other.kind == "load":
        # Too much to do is seen first where most of it is done.
        return ratio if cause.kind in _OF_LOAD and (cause.service == other.service or _below(cause, other, graph)) else 0.0
    if other.service == cause.service:
        # The same service twice: a crash explains its errors and its latency, not the other way round.
        return ratio if other.kind not in _VAGUE and cause.kind in _VAGUE else 0.0
    caller, _, callee = cause.service.rpartition("->")
    above = caller or callee
    lies_beneath = graph.reachable(above) | ({callee} if caller else set())
    beneath = other.service.rpartition("->")
    # An edge lies beneath its caller, not beneath itself; a service lies beneath all that reach it.
    if beneath[0]:
        return ratio if not caller and (beneath[0] == above or beneath[0] in graph.reachable(above)) else 0.0
    return ratio if other.service in lies_beneath else 0.0
