"""The ways in which other gates turn green with nothing proved, each named after the tool: here it is INCONCLUSIVE or FAIL.

What each tool does is told in its documentation, its source or an issue; the reference is in the docstring.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.gate import compared, decide
from harness.record.requests import Outcome
from harness.scenario.comparison import Metric
from harness.score import blockwise, timings, versions
from harness.score.blockwise import Blocks
from harness.score.check import Status
from harness.score.judge import judge
from harness.score.timings import TimingFile
from tests.history_builder import history, scenario, together, traffic
from tests.two_versions import arm, beside, requests

FAULT = {"id": "f", "type": "process.kill", "target": "llm", "at": "fault", "for": "40s"}
PHASES = ("0s steady_state", "30s fault", "70s recovery", "100s end")


def judged(*lines: str, requests: Any = None, **fields: Any) -> Status:
    asked_for = scenario(**fields)
    rows = traffic(0, 100) if requests is None else requests
    return decide(judge(history(*lines, requests=rows), asked_for), asked_for).status


@pytest.mark.parametrize("steps", [("31s intended crash@llm", "31s failed"), ("31s fault crash@llm", "70s heal-only", "90s not_gone")])
def test_chaos_toolkit_an_action_that_failed_and_a_rollback_that_failed(steps: tuple[str, ...]) -> None:
    """`status: completed`, `deviated: false`, exit 0 (chaostoolkit-lib#95)."""
    assert judged(*PHASES, *steps, faults=[FAULT], objectives={"fault": {"availability": ">= 90%"}}) is not Status.PASS


def test_chaos_toolkit_an_objective_that_was_broken_in_the_middle_of_the_fault_and_healed() -> None:
    """Under `continuously`, 6 of 16 samples out of tolerance, then healed: exit 0."""
    rows = together(traffic(0, 40), traffic(40, 55, outcome=Outcome.ERROR), traffic(55, 100))
    lines = (*PHASES, "31s fault crash@llm", "70s heal")
    assert judged(*lines, requests=rows, faults=[FAULT], objectives={"fault": {"availability": ">= 97%"}}) is Status.FAIL


@pytest.mark.parametrize("objective", [{"availability": ">= 99%"}, {"latency_p95": "<= 200ms", "availability": ">= 0%"}])
def test_k6_a_threshold_without_a_single_sample(objective: dict[str, str]) -> None:
    """A rate without samples returns true; the percentile of an empty trend is 0 (k6: metrics/thresholds.go; grafana/k6#1053)."""
    assert judged(*PHASES, requests=traffic(0, 0), objectives={"steady_state": objective}) is Status.INCONCLUSIVE


def test_keptn_no_objective_at_all() -> None:
    """Missing SLO file: pass; no scored objective: pass with score 100 (keptn: evaluate_sli_handler.go)."""
    assert judged(*PHASES) is Status.INCONCLUSIVE


def test_keptn_no_previous_run_to_compare_with() -> None:
    """Every relative criterion passes on the first run."""
    one = arm(1)
    nothing = replace(one, history=replace(one.history, requests=one.history.requests.between(0, 0)))
    found = versions.sequential(nothing, arm(2, started="2026-01-02"))
    assert compared([c.result for c in found]).status is Status.INCONCLUSIVE
    assert compared([]).status is Status.INCONCLUSIVE


def test_keptn_a_baseline_that_drifts_nine_per_cent_at_a_time() -> None:
    """Each +9 % becomes the next baseline. The anchor stays: the second step already is +19 % against it."""
    anchor, candidate = arm(3, 1800), arm(4, 1800, started="2026-01-03", slower=1.09 * 1.09)
    assert compared([c.result for c in versions.sequential(anchor, candidate)]).status is Status.FAIL


def test_kayenta_a_group_whose_metrics_have_no_data() -> None:
    """All Nodata: the group scores 100 (WeightedSumScorer.scala); `nanStrategy: replace` with empty data: Pass."""
    record, spec = beside(5, compare={"metrics": {"ttft_p95": "10%", "degraded_honest": "5%"}})
    found = versions.interleaved(record, spec)
    assert {c.result.status for c in found} == {Status.INCONCLUSIVE}


def test_kayenta_seven_of_ten_points_a_hundred_times_worse() -> None:
    """A rank test of ten averages passes them (spinnaker/spinnaker#6278)."""
    rows = requests(6, 600)
    at_s = (rows["intended_ns"] - rows["intended_ns"][0]) // 1_000_000_000
    rows["end_ns"] += np.where(at_s >= 180, 99 * (rows["end_ns"] - rows["intended_ns"]), 0)
    one = arm(7, started="2026-01-02")
    found = versions.sequential(arm(8), replace(one, history=replace(one.history, requests=rows)))
    assert compared([c.result for c in found]).status is Status.FAIL


def test_kayenta_sparse_errors_against_none() -> None:
    """0, 1, 2, 1, 0, 0 against zeros is not caught (spinnaker/kayenta#426): here it is told apart, or not called a pass."""
    none, some = Blocks.of_shares([(0, 20)] * 6), Blocks.of_shares([(0, 20), (1, 20), (2, 20), (1, 20), (0, 20), (0, 20)])
    contrast = blockwise.side_by_side(none, some)
    assert contrast.below(0.01) > 0.01, "a loss of one per cent is not excluded"


def test_kayenta_a_control_without_data() -> None:
    """Only the canary has data: Pass (spinnaker/kayenta#799)."""
    record, spec = beside(9)
    rows = record.requests.rows()
    rows["side"] = 1
    assert {c.result.status for c in versions.interleaved(replace(record, requests=rows), spec)} == {Status.INCONCLUSIVE}


def test_argo_an_analysis_that_was_ended_early() -> None:
    """Successful unless failureLimit was violated already (docs/features/analysis.md)."""
    record, spec = beside(10)
    cut = tuple(e for e in record.events if not (e.kind == "load" and e.data.get("state") == "finished"))
    found = versions.interleaved(replace(record, events=cut), spec)
    assert {c.result.status for c in found} == {Status.INCONCLUSIVE}


def test_argo_an_analysis_that_hit_the_stable_pods() -> None:
    """A bad version was promoted, because nobody had asked it anything (argoproj/argo-rollouts#1700)."""
    record, spec = beside(11, slower=2.0)
    rows = record.requests.rows()
    rows["side"] = 0
    assert {c.result.status for c in versions.interleaved(replace(record, requests=rows), spec)} == {Status.INCONCLUSIVE}


def test_locust_a_stall_that_closed_loop_clients_slept_through() -> None:
    """p95 of 76 ms by its own clients, 3 571 ms from the intended start: a server that was frozen for 5 of 30 s."""
    frozen = traffic(10, 15, latency_s=lambda n: 5.0 - n / 25.0)
    rows = together(traffic(0, 10, latency_s=0.05), frozen, traffic(15, 30, latency_s=0.05))
    limits = {"steady_state": {"availability": ">= 90%", "latency_p95": "<= 2s"}}
    phases = {"steady_state": "30s"}
    assert judged("0s steady_state", "30s end", requests=rows, phases=phases, objectives=limits) is Status.FAIL


def test_locust_a_regression_that_its_rounding_hides() -> None:
    """1 051 to 1 149 ms reads as no change in buckets of two digits (locust/stats.py): +9.3 %, found here from raw requests."""
    found = versions.interleaved(*beside(12, 1200, slower=1149 / 1051))
    assert compared([c.result for c in found]).status is Status.FAIL


def rounds(name: str, seconds: list[float]) -> dict[str, Any]:
    return {"fullname": name, "stats": {"data": seconds}}


def saved(*benchmarks: dict[str, Any], at: str = "2026-01-01") -> TimingFile:
    machine = {"node": "a", "machine": "x86_64", "processor": "", "python_version": "3.11", "cpu": {"brand_raw": "A"}}
    document = {"machine_info": machine, "commit_info": {"id": "c" * 40}, "datetime": at, "benchmarks": list(benchmarks)}
    return TimingFile.parse(json.dumps(document), f"{at}.json")


def test_pytest_benchmark_a_benchmark_that_the_baseline_lacks() -> None:
    """It is silently not compared."""
    rng = np.random.default_rng(1)
    one, two = (rounds("test_a", list(rng.lognormal(-5, 0.05, 400))) for _ in range(2))
    new = rounds("test_new", list(rng.lognormal(-5, 0.05, 400)))
    found = timings.compare_files(saved(one), saved(two, new, at="2026-01-02"), Metric(worse_by="10%"))
    assert [(c.result.name, c.result.status) for c in found] == [
        ("compare.test_a", Status.PASS),
        ("compare.test_new", Status.INCONCLUSIVE),
    ]


def test_nothing_of_the_load_is_no_load() -> None:
    """A scenario with a candidate and no requests at all."""
    record, spec = beside(13, 60)
    found = versions.interleaved(replace(record, requests=record.requests.between(0, 0)), spec)
    assert compared([c.result for c in found]).status is Status.INCONCLUSIVE
