"""The operator put together: the same for a run, for a watch and for a replay."""

from __future__ import annotations

from harness.ops.monitoring.symptoms import SymptomRules
from harness.ops.operator import Alerting, Operator, Voice
from harness.ops.targets import Targets


def assemble(targets: Targets, voice: Voice, alerting: Alerting | None = None) -> Operator:
    """An operator that has not looked yet. `alerting`: where its alerts come from, if not from symptoms that last."""
    return Operator(targets, voice, SymptomRules(latency_limit_s=targets.promised_p95_s, entry=targets.entry), alerting=alerting)
