"""A scenario's objectives and burn-rate rules as OpenSLO v1 documents, and a word on each that has no form there."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from harness.scenario.burn import BurnRate
from harness.scenario.indicator import Indicator
from harness.scenario.model import Scenario
from harness.scenario.openslo.documents import API_VERSION, SOURCE
from harness.scenario.units import Limit, plain

NAME_LENGTH = 63  # RFC 1123
DESCRIPTION_LENGTH = 1050
_OPS = {"<=": "lte", "<": "lt"}


@dataclass(slots=True)
class Written:
    """Documents in the order of the scenario, and what was left out."""

    documents: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def write(scenario: Scenario, period: str = "30d") -> Written:
    """`period` is the rolling window that an error budget is for (a duration of OpenSLO)."""
    written = Written()
    by_objective: dict[tuple[str, str], dict[str, Any]] = {}
    for phase in scenario.objectives:
        for of, objective in scenario.asked(phase):
            name = f"{phase}.{of.text}"
            limit = objective.pass_.limits[0]
            several = len(objective.pass_.limits) > 1
            reason = "several limits of one objective have no form there" if several else _formless(of, limit)
            if reason is not None:
                written.notes.append(f"{name} {objective.pass_.text}: {reason}")
                continue
            if objective.warn is not None:
                written.notes.append(f"{name}: its warn {objective.warn.text} has no form there; only pass is written")
            written.documents.append(_slo(scenario, phase, of, limit, period))
            by_objective.setdefault((of.text, limit.text), written.documents[-1])
    for rule in scenario.burn_rates:
        _burn_rate(written, scenario, rule, by_objective, period)
    return written


def _formless(of: Indicator, limit: Limit) -> str | None:
    """Why an objective cannot be said in OpenSLO."""
    if not of.sli.percentile and of.sli.unit != "ratio":
        return "a number or a rate is no share of good requests"
    if of.window_s is not None:
        return "every window that slides over a phase has no form there"
    if limit.of is not None:
        return "a relative limit has no form there"
    if not of.sli.percentile and limit.op not in ("<=", ">="):
        return "a target may always be met exactly"
    if not of.sli.percentile and _target(of, limit) >= 1.0:
        return "a target is less than 1 there: without a budget nothing can burn"
    return None


def _target(of: Indicator, limit: Limit) -> float:
    """The share of requests that must be good."""
    if of.sli.percentile:
        return round((of.sli.argument or 0.0) / 100.0, 12)
    return limit.value if of.sli.good == "higher" else round(1.0 - limit.value, 12)


def _slo(scenario: Scenario, phase: str | None, of: Indicator, limit: Limit, period: str) -> dict[str, Any]:
    name = _name(scenario.name, phase or "budget", of.text)
    objective: dict[str, Any] = {"displayName": f"{of.text} {limit.text}", "target": _target(of, limit)}
    if of.sli.percentile:
        objective |= {"op": _OPS[limit.op], "value": limit.value}
    described = {"description": scenario.hypothesis[:DESCRIPTION_LENGTH]} if scenario.hypothesis else {}
    return {
        "apiVersion": API_VERSION,
        "kind": "SLO",
        "metadata": {"name": name, "displayName": f"{phase + ': ' if phase else ''}{of.text} {limit.text}"},
        "spec": {
            **described,
            "service": of.scope.name if of.scope is not None and of.scope.by == "service" else scenario.name,
            "indicator": {"metadata": {"name": name}, "spec": _metric(phase, of)},
            "timeWindow": [{"duration": period, "isRolling": True}],
            "budgetingMethod": "Occurrences",
            "objectives": [objective],
        },
    }


def _metric(phase: str | None, of: Indicator) -> dict[str, Any]:
    """Where its values come from: an SLI of the record, which no other tool can ask for, but can show."""
    where = {"sli": of.sli.family if of.sli.percentile else of.sli.text}
    where |= {"phase": phase} if phase else {"only": "burn_rate"}
    where |= {"of": str(of.scope)} if of.scope else {}
    if of.sli.percentile:
        return {"thresholdMetric": {"metricSource": {"type": SOURCE, "spec": where}}}
    kind = "good" if of.sli.good == "higher" else "bad"
    parts = {
        name: {"metricSource": {"type": SOURCE, "spec": {**where, "count": count}}} for name, count in ((kind, kind), ("total", "all"))
    }
    return {"ratioMetric": {"counter": True, **parts}}


def _burn_rate(written: Written, scenario: Scenario, rule: BurnRate, known: dict[tuple[str, str], dict[str, Any]], period: str) -> None:
    """One condition is all that a policy may have: the long window is the condition, and the short one an annotation."""
    name = f"burn_rate.{rule.id}"
    reason = _formless(rule.of, rule.limit)
    if reason is None and rule.long % 60:
        reason = "a window of less than a minute, or part of one, has no form there"
    if reason is not None:
        written.notes.append(f"{name}: {reason}")
        return
    key = (rule.of.text, rule.limit.text)
    if key not in known:
        known[key] = _slo(scenario, None, rule.of, rule.limit, period)
        written.documents.append(known[key])
    short_s = rule.windows_s(1.0)[1]
    notes = {"short-window": f"{plain(short_s)}s", "min-events": str(rule.min_events), "fires": rule.fires}
    notes |= {"within": rule.within.text} if rule.within is not None else {}
    notes |= {"phases": " ".join(rule.phases)} if rule.phases else {}
    condition = {"kind": "burnrate", "op": "gt", "threshold": rule.factor, "lookbackWindow": _shorthand(rule.long), "alertAfter": "0m"}
    policy = {
        "kind": "AlertPolicy",
        "metadata": {"name": _name(rule.id)},
        "spec": {
            "alertWhenBreaching": True,
            "alertWhenResolved": False,
            "alertWhenNoData": False,
            "conditions": [
                {
                    "kind": "AlertCondition",
                    "metadata": {"name": _name(rule.id), "annotations": {f"{SOURCE}/{k}": v for k, v in notes.items()}},
                    "spec": {"severity": "page", "condition": condition},
                }
            ],
            "notificationTargets": [],
        },
    }
    known[key]["spec"].setdefault("alertPolicies", []).append(policy)
    written.notes.append(f"{name}: a policy has one condition there; its short window of {plain(short_s)}s is an annotation")


def _shorthand(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60}h" if minutes % 60 == 0 else f"{minutes}m"


def _name(*parts: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower())[:NAME_LENGTH].strip("-")
