"""Burn-rate alerts of an objective, as a rule file: multiwindow, multi-burn-rate, of the SRE workbook (chapter "Alerting on SLOs").

An alert fires while the error budget burns faster than its factor over a long window, so that a blip does not page, and over a short one,
so that it ends soon after the errors do; and while the short window holds a few bad requests, because one stray failure is no burn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MIN_BAD = 5


@dataclass(frozen=True, slots=True)
class Window:
    """Fires above `factor` times the rate at which the budget of 30 days would be spent evenly."""

    name: str
    long: str
    short: str
    factor: float
    severity: str


# 2 % of the budget in an hour, 5 % in six hours, 10 % in three days.
WINDOWS = (
    Window("Fast", "1h", "5m", 14.4, "critical"),
    Window("Medium", "6h", "30m", 6.0, "critical"),
    Window("Slow", "3d", "6h", 1.0, "warning"),
)


@dataclass(frozen=True, slots=True)
class Source:
    """Which counter tells good from bad, and of which service the users' complaint is."""

    bad: str
    all: str
    service: str


SOURCES = {
    "client": Source('client_requests_total{outcome!="ok"}', "client_requests_total", "gateway"),
    "gateway": Source('rag_requests_total{service="gateway", status=~"5.."}', 'rag_requests_total{service="gateway"}', "gateway"),
}


def burn_rules(objective: float, source: Source) -> dict[str, Any]:
    """The rule file of an availability objective between 0 and 1. Raises ValueError where no rule could ever fire."""
    if not 0 < objective < 1:
        raise ValueError(f"an objective is a share between 0 % and 100 %, not {objective:.6g}")
    budget = 1 - objective
    rules = [_rule(window, budget, source) for window in WINDOWS if window.factor * budget < 1]
    if not rules:
        raise ValueError(f"no rule could fire: even a total outage burns a budget of {budget:.3g} only {1 / budget:.3g} times too fast")
    return {"groups": [{"name": f"slo.availability.{objective * 100:.6g}", "rules": rules}]}


def _rule(window: Window, budget: float, source: Source) -> dict[str, Any]:
    threshold = f"{window.factor * budget:.6g}"

    def ratio(length: str) -> str:
        return f"sum(rate({source.bad}[{length}])) / sum(rate({source.all}[{length}]))"

    expr = (
        f"{ratio(window.long)} > {threshold}\nand {ratio(window.short)} > {threshold}\n"
        f"and sum(increase({source.bad}[{window.short}])) >= {MIN_BAD}\n"
    )
    summary = f"{{{{ $value | humanizePercentage }}}} of requests fail over {window.long}: above {window.factor:g} times the budget"
    return {
        "alert": f"ErrorBudgetBurns{window.name}",
        "expr": expr,
        "labels": {"severity": window.severity, "service": source.service, "kind": "errors"},
        "annotations": {"summary": summary},
    }
