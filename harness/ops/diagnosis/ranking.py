"""Rank causes: strong direct evidence first, and what a callee explains is no cause of its own.

The order of evidence follows what holds in published comparisons of root cause methods: simple robust rules over the graph beat
learned models; a caller's anomaly is explained away by its callee's, weight x (1 - 0.7 * explained).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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


def rank(symptoms: Sequence[Symptom], graph: Graph) -> tuple[Cause, ...]:
    """At most three causes, best first; empty when nothing points anywhere (what users see is no cause)."""
    pointing = [s for s in symptoms if s.name in _DIRECTNESS]
    candidates = _merge(_candidate(s, pointing) for s in pointing)
    ranked = sorted((_explain(c, candidates, graph) for c in candidates), key=lambda c: (-c.confidence, c.service, c.kind))
    return tuple(c for c in ranked if c.confidence >= WORTH_NAMING)[:AT_MOST]


def _candidate(symptom: Symptom, symptoms: Sequence[Symptom]) -> Cause:
    service, kind = symptom.service, symptom.kind
    if symptom.edge is not None and kind == "latency" and not _callee_is_slow_itself(symptom.edge, symptoms):
        service, kind = "->".join(symptom.edge), "network"
    instances = (symptom.instance,) if symptom.instance else ()
    return Cause(service, kind, _DIRECTNESS[symptom.name], symptom.evidence, instances)


_OF_ITSELF = ("ServiceLatencyHigh", "ServiceQueueing", "ProbeSlow", "InstanceDown", "CertificateInvalid", "RateLimited")


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
        merged.append(Cause(service, kind, confidence, evidence, tuple(sorted({i for c in group for i in c.instances}))))
    return merged


def _explain(cause: Cause, candidates: Sequence[Cause], graph: Graph) -> Cause:
    """Weaken a candidate by the strongest one that lies beneath it, or that says more about the same service."""
    explained = max((_explains(other, cause, graph) for other in candidates if other is not cause), default=0.0)
    return Cause(cause.service, cause.kind, round(cause.confidence * (1 - EXPLAINED_AWAY * explained), 4), cause.evidence, cause.instances)


_SPECIFIC = ("crash", "hang", "rate_limit", "credentials")


def _explains(other: Cause, cause: Cause, graph: Graph) -> float:
    ratio = min(1.0, other.confidence / cause.confidence)
    if other.service == cause.service:
        # The same service twice: a crash explains its errors and its latency, not the other way round.
        return ratio if other.kind in _SPECIFIC and cause.kind not in _SPECIFIC else 0.0
    caller, _, callee = cause.service.rpartition("->")
    above = caller or callee
    lies_beneath = graph.reachable(above) | ({callee} if caller else set())
    beneath = other.service.rpartition("->")
    # An edge lies beneath its caller, not beneath itself; a service lies beneath all that reach it.
    if beneath[0]:
        return ratio if not caller and (beneath[0] == above or beneath[0] in graph.reachable(above)) else 0.0
    return ratio if other.service in lies_beneath else 0.0
