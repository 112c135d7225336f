"""Burn-rate alerts from an objective: the arithmetic of the SRE workbook, and what can never fire is not written."""

from __future__ import annotations

import pytest
import yaml

from harness.ops.alerting.promql.series import SeriesStore, labels_of
from harness.ops.alerting.rules.burn import SOURCES, burn_rules
from harness.ops.alerting.rules.checking import check
from harness.ops.alerting.rules.engine import FIRING, RuleEngine
from harness.ops.alerting.rules.reading import read_text

SCALE = 60.0  # an hour is a minute


def engine(objective: float, store: SeriesStore) -> RuleEngine:
    groups = read_text(yaml.safe_dump(burn_rules(objective, SOURCES["client"])), "burn.yml")
    assert check(groups) == []
    return RuleEngine(groups, store, SCALE)


def first_firing(error_ratio: float, objective: float, *, rate_per_s: float = 50.0, seconds: int = 120) -> dict[str, int]:
    """Seconds from the onset of errors, after two compressed hours without any, to each alert."""
    store = SeriesStore()
    rules, counts, found = engine(objective, store), {"ok": 0.0, "error": 0.0}, dict[str, int]()
    for t_s in range(-120, seconds):
        errors = rate_per_s * error_ratio if t_s >= 0 else 0.0
        counts["ok"] += rate_per_s - errors
        counts["error"] += errors
        for outcome, value in counts.items():
            store.append(labels_of({"__name__": "client_requests_total", "outcome": outcome}), (t_s + 1000) * 1000, value)
        for alert in rules.step((t_s + 1000) * 1000):
            if alert.state == FIRING:
                found.setdefault(alert.rule.alert, t_s)
    return found


def test_a_total_outage_fires_after_what_the_arithmetic_says() -> None:
    """factor x (1 - SLO) / e x long: at 99 %, 14.4 x 0.01 x 60 s is 8.6 s; the first errors are those of the second before 0."""
    found = first_firing(1.0, 0.99)
    assert found["ErrorBudgetBurnsFast"] == 8
    assert set(found) == {"ErrorBudgetBurnsFast", "ErrorBudgetBurnsMedium", "ErrorBudgetBurnsSlow"}


def test_errors_within_the_budget_fire_nothing() -> None:
    assert first_firing(0.009, 0.99) == {}
    assert "ErrorBudgetBurnsFast" not in first_firing(0.13, 0.99)


def test_a_few_failures_in_little_traffic_are_no_burn() -> None:
    assert first_firing(0.3, 0.99, rate_per_s=2.0, seconds=7) == {}


def test_rules_that_could_never_fire_are_left_out() -> None:
    names = [rule["alert"] for rule in burn_rules(0.9, SOURCES["gateway"])["groups"][0]["rules"]]
    assert names == ["ErrorBudgetBurnsMedium", "ErrorBudgetBurnsSlow"]


@pytest.mark.parametrize("objective", [0.0, 1.0, 99.9, -1.0])
def test_what_is_no_objective(objective: float) -> None:
    with pytest.raises(ValueError, match="between 0 % and 100 %"):
        burn_rules(objective, SOURCES["client"])
