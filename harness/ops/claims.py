"""The bodies in which an operator says what it says, on whatever way they travel (docs/operator.md)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.ops.diagnosis.ranking import Cause
from harness.ops.monitoring.alerts import Alert
from harness.ops.recovery.controller import Handover
from harness.ops.recovery.strategies import Step


def webhook(changed: Sequence[Alert], wall_offset_s: float) -> dict[str, Any]:
    """Alertmanager's webhook body, version 4. `wall_offset_s`: Unix time of the operator's clock at zero."""
    entries = [a.to_webhook(wall_offset_s) for a in changed]
    return {
        "version": "4",
        "groupKey": "{}:{}",
        "truncatedAlerts": 0,
        "status": "firing" if any(e["status"] == "firing" for e in entries) else "resolved",
        "receiver": "gauntlet",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "",
        "alerts": entries,
    }


def diagnosis(causes: Sequence[Cause]) -> dict[str, Any]:
    """Of `POST /claims/diagnoses`."""
    return {"causes": [{"service": c.service, "kind": c.kind, "confidence": c.confidence, "evidence": c.evidence} for c in causes]}


def action(step: Step, diagnosis_id: str | None) -> dict[str, Any]:
    """Of `POST /actions`."""
    return {
        "verb": step.verb,
        "service": step.service,
        "instance": step.instance,
        "args": dict(step.args),
        "diagnosis_id": diagnosis_id,
    }


def escalation(handover: Handover, diagnosis_id: str | None) -> dict[str, Any]:
    """Of `POST /claims/escalations`."""
    return {"service": handover.service, "reason": handover.reason, "diagnosis_id": diagnosis_id}
