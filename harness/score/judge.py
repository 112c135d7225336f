"""All checks of a run, in a fixed order."""

from __future__ import annotations

from harness.record.history import History
from harness.scenario.model import Scenario
from harness.score import burn, clients_check, containment, expect, probes, reliability, slo, validity, versions
from harness.score.check import Check, Result, run_safely

CHECKS: tuple[tuple[str, Check], ...] = (
    ("validity", validity.check),
    ("objectives", slo.check),
    ("burn_rates", burn.check),
    ("probes", probes.check),
    ("reliability", reliability.check),
    ("expect", expect.check),
    ("callers", clients_check.check),
    ("containment", containment.check),
    ("compare", versions.check),
    ("safety", validity.safety),
)


def judge(history: History, scenario: Scenario) -> tuple[Result, ...]:
    """Every result of one run. Pure: the same record and scenario give the same results, on any machine."""
    return tuple(result for name, check in CHECKS for result in run_safely(name, check, history, scenario))
