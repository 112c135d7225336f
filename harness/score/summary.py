"""The headline scores of a run, for reports and JSON. Nothing here asserts anything."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from harness.record import events as ev
from harness.record.history import History
from harness.record.views import FaultTruth
from harness.scenario.model import Scenario
from harness.score import stats
from harness.score.detection import DetectionScore, detect
from harness.score.diagnosis import DiagnosisScore, chance, diagnose
from harness.score.outcome import FaultOutcome, outcome
from harness.score.recovery import judge_actions
from harness.score.spans import active


def scores(history: History, scenario: Scenario) -> dict[str, Any]:
    """MTTD, recall, precision; AC@k; outcomes, MTTR, actions. Seconds and ratios; None where nothing was there to score."""
    faults = [f for f in history.faults if not f.benign and f.onset_ns is not None]
    return {
        "faults": len(faults),
        "detection": _detection(detect(history)),
        "diagnosis": _diagnosis([d for f in faults if (d := diagnose(history, f)) is not None], _services(history)),
        "recovery": _recovery(history, scenario, faults),
    }


def _detection(score: DetectionScore) -> dict[str, Any]:
    return {
        "n": len(score.detections),
        "detected": len(score.delays_s),
        "recall": _digits(score.recall),
        "precision": _digits(score.precision),
        "mttd_s": _digits(score.mttd_s),
        "mttd_s_median": _digits(median(score.delays_s)) if score.delays_s else None,
        "mttd_s_max": _digits(max(score.delays_s)) if score.delays_s else None,
        "mttd_s_censored": _digits(score.censored_mean_s),
        "duplicates": sum(d.duplicates for d in score.detections),
        "false_alarms": len(score.false_alarms),
        "false_alarms_per_hour": _digits(score.false_alarms_per_hour),
        "false_alarms_per_hour_bound": _digits(score.false_alarms_per_hour_bound),
        "fault_free_s": _digits(score.fault_free_s),
    }


def _diagnosis(found: Sequence[DiagnosisScore], services: int) -> dict[str, Any]:
    return {
        "n": len(found),
        "ac_1": _mean([d.ac_1 for d in found]),
        "ac_3": _mean([d.ac_3 for d in found]),
        "avg_5": _mean([d.avg_5 for d in found]),
        "chance_ac_1": _digits(chance(1, services)),
        "kind_accuracy": _mean([float(d.kind_right) for d in found]),
        "victims_blamed": sum(d.victim_blamed for d in found),
        "abstained": sum(d.abstained for d in found),
    }


def _recovery(history: History, scenario: Scenario, faults: Sequence[FaultTruth]) -> dict[str, Any]:
    ended = [outcome(history, scenario, f) for f in faults]
    recovered = [o.regained_s for o in ended if o.word == "recovered" and o.regained_s is not None]
    actions = judge_actions(history)
    return {
        "outcomes": {o.fault_id: o.word for o in ended},
        "relapsed": sorted(o.fault_id for o in ended if o.relapsed),
        "mttr_s": _mean(recovered),
        "recovered_share": _digits(len(recovered) / len(ended)) if ended else None,
        "mttr_s_censored": _mean([_censored_s(history, f, o) for f, o in zip(faults, ended, strict=True)]),
        "actions": len(history.actions),
        "right_actions": len(actions.right),
        "wrong_actions": len(actions.wrong),
        "needless_actions": len(actions.needless),
        "harmful_actions": len(actions.harmful),
        "escalations": len(history.escalations),
    }


def _censored_s(history: History, fault: FaultTruth, ended: FaultOutcome) -> float:
    """Onset to regained; a fault that users were not helped out of counts as all the time that it was active."""
    if ended.regained_s is not None:
        return ended.regained_s
    span = active(fault, history)
    return span.length_s if span is not None else 0.0


def _services(history: History) -> int:
    ready: Mapping[str, Any] = next((e.data for e in history.of_kind(ev.STACK) if e.data.get("state") == "ready"), {})
    return len(ready.get("instances", {}))


def _mean(values: Sequence[float]) -> float | None:
    return _digits(math.fsum(values) / len(values)) if values else None


def _digits(value: float | None) -> float | None:
    return None if value is None else stats.rounded(value)
