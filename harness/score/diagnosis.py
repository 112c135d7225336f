"""Diagnoses against the truth.

Scored is the one in force when the operator first acted, else 15 s after onset; later ones are counted, and not scored.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.record.history import History
from harness.record.views import Cause, Diagnosis, FaultTruth
from harness.score.detection import radius
from harness.score.spans import NS_PER_S, after_onset, of_claims

DUE_S = 15.0  # after onset, when nothing was done before
CAUSES = 3  # at most so many are scored


@dataclass(frozen=True, slots=True)
class DiagnosisScore:
    """One fault's diagnosis. `credits` are AC@1..AC@5: the chance that a right service is among the first k, ties in random order."""

    fault_id: str
    causes: tuple[Cause, ...]  # of the diagnosis in force, best first, one per service
    at_s: float | None  # after onset; None: nothing was claimed in time
    credits: tuple[float, float, float, float, float]
    kind_right: bool  # the right service, and its kind
    victim_blamed: bool  # first named: a service that only suffers from the fault
    revisions: int  # diagnoses that came later

    @property
    def abstained(self) -> bool:
        return not self.causes

    @property
    def ac_1(self) -> float:
        return self.credits[0]

    @property
    def ac_3(self) -> float:
        return self.credits[2]

    @property
    def avg_5(self) -> float:
        return math.fsum(self.credits) / len(self.credits)


def right_names(fault: FaultTruth) -> frozenset[str]:
    """What a right diagnosis may name: the accepted services or edges; without a declaration, the target itself."""
    if fault.accepted:
        return frozenset(fault.accepted)
    return frozenset({f"{fault.edge[0]}->{fault.edge[1]}"} if fault.edge else {fault.service})


def diagnose(history: History, fault: FaultTruth, expected: frozenset[str] | None = None, kind: str | None = None) -> DiagnosisScore | None:
    """Score the diagnosis of one fault against `expected` names and `kind` (default: the truth's own). None without an onset."""
    if fault.onset_ns is None:
        return None
    names = expected or right_names(fault)
    due_ns = _due_ns(history, fault, fault.onset_ns)
    in_time = (d for d in history.diagnoses if d.t_ns <= due_ns and _about(history, fault, d))
    claimed = sorted(in_time, key=lambda d: (d.t_ns, d.diagnosis_id))
    later = sum(1 for d in history.diagnoses if d.t_ns > due_ns and _about(history, fault, d))
    in_force = claimed[-1] if claimed else None
    causes = _one_per_service(in_force.causes) if in_force else ()
    first = causes[0] if causes else None
    return DiagnosisScore(
        fault_id=fault.id,
        causes=causes,
        at_s=after_onset(fault.onset_ns, in_force.t_ns) if in_force else None,
        credits=_credits(causes, names),
        kind_right=any(c.service in names and c.kind == (kind or fault.kind) for c in causes[:1]),
        victim_blamed=first is not None and first.service not in names and first.service in radius(fault),
        revisions=later,
    )


def first_right_s(history: History, fault: FaultTruth, expected: frozenset[str], kind: str) -> float | None:
    """Seconds from the onset to the first diagnosis that names one of `expected` first, with `kind`; None where none does in the window."""
    for diagnosis in claimed_causes(history, fault):
        first = _one_per_service(diagnosis.causes)[0]
        if first.service in expected and first.kind == kind:
            return after_onset(fault.onset_ns or 0, diagnosis.t_ns)
    return None


def claimed_causes(history: History, fault: FaultTruth) -> tuple[Diagnosis, ...]:
    """Diagnoses in the fault's window that name any cause: what a benign change should not get."""
    return tuple(d for d in history.diagnoses if d.causes and _about(history, fault, d))


def chance(k: int, services: int) -> float:
    """AC@k of a guess: min(k, n) / n."""
    return min(k, services) / services if services else 0.0


def _about(history: History, fault: FaultTruth, diagnosis: Diagnosis) -> bool:
    span = of_claims(history, fault)
    return span is not None and span.holds(diagnosis.t_ns)


def _due_ns(history: History, fault: FaultTruth, onset_ns: int) -> int:
    span = of_claims(history, fault)
    acted = [a.t_ns for a in history.actions if span is not None and span.holds(a.t_ns)]
    return min(acted, default=onset_ns + round(DUE_S * NS_PER_S))


def _one_per_service(causes: Sequence[Cause]) -> tuple[Cause, ...]:
    """Best first: by confidence, and as they were listed where that is the same."""
    best: dict[str, Cause] = {}
    for cause in sorted(causes[:CAUSES], key=lambda c: -c.confidence):
        best.setdefault(cause.service, cause)
    return tuple(best.values())


def _credits(causes: Sequence[Cause], names: frozenset[str]) -> tuple[float, float, float, float, float]:
    one, two, three, four, five = (
        max((_credit(causes, names, c, k) for c in causes if c.service in names), default=0.0) for k in range(1, 6)
    )
    return (one, two, three, four, five)


def _credit(causes: Sequence[Cause], names: frozenset[str], right: Cause, k: int) -> float:
    """The chance that `right`, or another right one beside it, is among the first k when equal confidences stand in random order:
    1 - C(wrong, places) / C(tied, places), which is places / tied where only one of those tied is right.

    Without any confidence the order of the list is the ranking, and there are no ties. Beside others, 0 is the least: with two rankings
    in one answer, two services would be first.
    """
    if all(c.confidence <= 0.0 for c in causes):
        return 1.0 if causes.index(right) < k else 0.0
    places = k - sum(1 for c in causes if c.confidence > right.confidence)
    tied = [c for c in causes if c.confidence == right.confidence]
    if places <= 0:
        return 0.0
    places = min(places, len(tied))
    return 1.0 - math.comb(sum(c.service not in names for c in tied), places) / math.comb(len(tied), places)
