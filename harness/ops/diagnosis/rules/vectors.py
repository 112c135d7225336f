"""Stores of vectors: calls that they refuse or break off, hits that cannot be used, searches that had to do without them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from harness.ops.diagnosis.rules.base import View
from harness.ops.monitoring.symptoms import Symptom

FAILING_SHARE = 0.15
MIN_FAILED = 3.0
REJECTED = 5.0  # hits in a window
BY_WORDS = 5.0  # searches in a window
_KINDS: Mapping[str, str] = {
    "timeout": "hang",
    "connect_error": "network",
    "connection_lost": "network",
    "http_4xx": "config",
    "http_5xx": "errors",
    "error": "errors",
}


@dataclass(slots=True)
class VectorRules:
    """Of the first of the `stores`, where there is one beside the database."""

    stores: tuple[str, ...]

    def look(self, view: View) -> Iterator[Symptom]:
        for store in self.stores[:1]:
            failed = list(_failed(view, store))
            yield from failed or _unusable(view, store)


def _failed(view: View, store: str) -> Iterator[Symptom]:
    """What the edge shows to all its callers together, by the most frequent kind of failure."""
    outcomes: dict[str, float] = defaultdict(float)
    for (_, callee), signal in view.signals.edges.items():
        for outcome, n in signal.outcomes.items() if callee == store else ():
            outcomes[outcome] += n
    tried = sum(n for outcome, n in outcomes.items() if outcome != "circuit_open")
    failures = {outcome: outcomes[outcome] for outcome in _KINDS if outcomes.get(outcome, 0.0) > 0}
    if tried and sum(failures.values()) >= max(MIN_FAILED, FAILING_SHARE * tried):
        worst = max(failures, key=lambda o: (failures[o], o))
        evidence = f"{sum(failures.values()):.0f} of {tried:.0f} calls to {store} fail: {', '.join(sorted(failures))}"
        yield Symptom("CallErrors", store, _KINDS[worst], evidence, directness=0.75, for_s=0.4)


def _unusable(view: View, store: str) -> Iterator[Symptom]:
    rejected: dict[str, float] = defaultdict(float)
    for key, grown in view.grown("rag_vector_rejected_total"):
        rejected[key.label("reason")] += grown
    recreated = sum(grown for _, grown in view.grown("rag_vector_recreated_total"))
    by_words = sum(grown for key, grown in view.grown("rag_degraded_total") if key.label("reason") == "lexical_retrieval")
    if sum(rejected.values()) >= REJECTED:
        reasons = ", ".join(sorted(reason for reason, n in rejected.items() if n))
        yield Symptom("HitsRejected", store, "data", f"hits of {store} cannot be used: {reasons}", directness=0.88, for_s=0.4)
    if recreated:
        evidence = f"the collection of {store} is another one than before"
        yield Symptom("CollectionRecreated", store, "data", evidence, directness=0.85, for_s=0.0)
    if by_words >= BY_WORDS:
        evidence = f"{by_words:.0f} searches had to do without {store}"
        yield Symptom("SearchedByWords", store, "data", evidence, "warning", directness=0.62, for_s=0.9)
