"""One incident, few alerts: what a symptom deeper in the graph explains is not told again for every service above it."""

from __future__ import annotations

from collections.abc import Sequence

from harness.ops.diagnosis.graph import Graph
from harness.ops.monitoring.symptoms import Symptom

# Told in any case: an instance that is down is a fact of its own, and what users see is what somebody is paged for.
_OF_USERS = ("UserErrorsHigh", "UserLatencyHigh")
_NEVER_INHIBITED = ("InstanceDown", "CertificateInvalid", *_OF_USERS)
_OF_ITSELF = 0.8  # so direct a symptom is a fact of its own as well


def inhibit(symptoms: Sequence[Symptom], graph: Graph) -> tuple[Symptom, ...]:
    """The symptoms worth an alert: none that sits above another one."""
    sick = {s.service for s in symptoms if s.name not in _OF_USERS}
    return tuple(s for s in symptoms if _is_fact(s) or not graph.reachable(s.service) & sick)


def _is_fact(symptom: Symptom) -> bool:
    return symptom.name in _NEVER_INHIBITED or (symptom.directness is not None and symptom.directness >= _OF_ITSELF)
