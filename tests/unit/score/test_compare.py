"""Two versions: what fails, what passes, and what the sample cannot tell."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.gate import compared, decide
from harness.record.history import History
from harness.score import compare, versions
from harness.score.check import Status
from harness.score.compare import Compared
from harness.score.judge import judge
from harness.score.versions import Arm
from tests.two_versions import HOST, arm, asked, beside, record, requests

LATER = "2026-01-01T11:00:00+00:00"


def by_name(found: tuple[Compared, ...]) -> dict[str, Compared]:
    return {c.result.name.removeprefix("compare.steady_state."): c for c in found}


def status(found: tuple[Compared, ...]) -> Status:
    return compared([c.result for c in found]).status


def test_equal_versions_side_by_side_pass() -> None:
    found = versions.interleaved(*beside(1))
    assert {c.result.name: c.result.status for c in found} == {
        f"compare.steady_state.{name}": Status.PASS for name in ("availability", "latency_p50", "latency_p95", "answered", "recall_at_5")
    }, "what has no reading on either side is not compared"


@pytest.mark.parametrize(
    ("change", "metric"),
    [({"slower": 1.1}, "latency_p95"), ({"failing": 0.02}, "availability"), ({"lost": 0.08}, "recall_at_5")],
)
def test_a_worse_candidate_fails_and_the_interval_says_why(change: dict[str, float], metric: str) -> None:
    history, scenario = beside(2, **change)
    found = by_name(versions.interleaved(history, scenario))[metric]
    low, high = found.interval or (0.0, 0.0)
    assert found.result.status is Status.FAIL
    assert 0 < low < (found.effect or 0.0) < high
    assert found.result.interval == found.interval
    assert "worse, and by more than" in found.result.reason
    assert decide(judge(history, scenario), scenario).status is Status.FAIL, "it is a check of the run as any other"


def test_better_is_no_regression() -> None:
    found = by_name(versions.interleaved(*beside(3, slower=0.8)))["latency_p95"]
    assert found.result.status is Status.PASS
    assert "better" in found.result.reason


def test_too_small_a_sample_never_passes_and_says_how_large_a_one_would_do() -> None:
    found = by_name(versions.interleaved(*beside(4, 60, slower=1.1)))["latency_p95"]
    assert found.result.status is Status.INCONCLUSIVE
    assert "would be needed" in found.result.reason
    assert 60 < (found.needed_s or 0.0) < 2000


def test_a_large_change_is_found_in_a_small_sample() -> None:
    assert status(versions.interleaved(*beside(5, 60, slower=1.6))) is Status.FAIL


@pytest.mark.parametrize("length_s", [8, 20])
def test_seconds_that_are_no_five_blocks_tell_nothing(length_s: int) -> None:
    found = versions.interleaved(*beside(6, length_s, slower=3.0))
    assert {c.result.status for c in found} == {Status.INCONCLUSIVE}
    assert "at least 5 are needed" in found[0].result.reason


def test_blocks_in_the_order_abba_are_compared_by_whole_rounds() -> None:
    history, scenario = beside(7, 400, slower=1.2, compare={"split": "blocks", "block": "5s"})
    rows = history.requests.rows()
    base, candidate = requests(7, 400), requests(8, 400, slower=1.2)
    theirs = np.isin((rows["intended_ns"] - rows["intended_ns"][0]) // 5_000_000_000 % 4, (1, 2))
    rows = np.where(theirs, candidate, base)
    rows["side"] = theirs
    found = by_name(versions.interleaved(replace(history, requests=rows), scenario))["latency_p95"]
    assert found.result.status is Status.FAIL
    assert "20 blocks of 20s, interleaved" in found.result.evidence[1]


def test_two_runs_one_after_the_other() -> None:
    base = arm(10, 1800)
    assert status(versions.sequential(base, arm(11, 1800, started=LATER))) is Status.PASS
    slow = by_name(versions.sequential(base, arm(12, 1800, started=LATER, slower=1.1)))
    assert slow["latency_p95"].result.status is Status.FAIL
    short = by_name(versions.sequential(arm(10, 60), arm(12, 60, started=LATER, slower=1.1)))
    assert short["latency_p95"].result.status is Status.INCONCLUSIVE
    assert "side by side in one run a fraction would do" in short["latency_p95"].result.reason


def other_machine(one: Arm) -> Arm:
    return replace(one, history=replace(one.history, run={**one.history.run, "host": {**HOST, "cpus": 8}}))


def nameless(one: Arm) -> Arm:
    return replace(one, history=replace(one.history, run={**one.history.run, "host": {}}))


def other_load(one: Arm) -> Arm:
    return replace(one, scenario=asked(600, load={"shape": [{"constant": "50/s"}]}))


def without_its_end(one: Arm) -> Arm:
    events = tuple(e for e in one.history.events if e.data.get("state") != "finished")
    return replace(one, history=replace(one.history, events=events))


def two_versions(one: Arm) -> Arm:
    return replace(one, scenario=asked(600, compare={"candidate": {"version": "2"}}))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (two_versions, "is a comparison itself"),
        (other_machine, "different machines"),
        (nameless, "does not say on which machine"),
        (other_load, "differ in `load`"),
        (without_its_end, "never finished"),
        (lambda one: one, "one and the same record"),
    ],
)
def test_what_cannot_be_compared_is_inconclusive_with_the_reason(change: Any, reason: str) -> None:
    base = arm(20)
    candidate = change(arm(21, started=LATER, slower=1.5)) if reason != "one and the same record" else base
    found = versions.sequential(base, candidate)
    assert {c.result.status for c in found} == {Status.INCONCLUSIVE}, "neither blamed nor passed"
    assert all(reason in c.result.reason for c in found)


def test_the_same_requests_under_another_date_are_the_same_record() -> None:
    rows = requests(22, 300)
    first, second = Arm(record(rows, 300), asked(300)), Arm(record(rows, 300, started=LATER), asked(300))
    assert "one and the same" in versions.sequential(first, second)[0].result.reason


def test_a_metric_that_is_not_critical_warns_at_most() -> None:
    spec = {"metrics": {"availability": "1%", "latency_p95": {"worse_by": "10%", "critical": False}}}
    found = by_name(versions.interleaved(*beside(30, slower=1.3, compare=spec)))
    assert found["latency_p95"].result.status is Status.WARN
    assert status(tuple(found.values())) is Status.WARN


def test_a_metric_may_ask_for_more_readings() -> None:
    asked = {"metrics": {"latency_p50": {"worse_by": "25%", "min_samples": 5000}}}
    assert status(versions.interleaved(*beside(1, 300, compare=asked))) is Status.INCONCLUSIVE
    assert "a comparison needs 5000 on each side" in versions.interleaved(*beside(1, 300, compare=asked))[0].result.reason
    asked["metrics"]["latency_p50"]["min_samples"] = 3000
    assert status(versions.interleaved(*beside(1, 300, compare=asked))) is Status.PASS


def test_what_must_have_data_fails_where_only_the_candidate_has_none() -> None:
    history, scenario = beside(31, compare={"metrics": {"recall_at_5": "5%"}})
    rows = history.requests.rows()
    rows["question"][rows["side"] == 1] = -1
    (found,) = versions.interleaved(replace(history, requests=rows), scenario)
    assert (found.result.status, "must have data" in found.result.reason) == (Status.FAIL, True)
    rows["question"] = -1
    (neither,) = versions.interleaved(replace(history, requests=rows), scenario)
    assert (neither.result.status, "neither side" in neither.result.reason) == (Status.INCONCLUSIVE, True)


def test_nothing_compared_is_inconclusive() -> None:
    empty = History()
    found = versions.sequential(Arm(empty, asked(60)), Arm(empty, asked(60)))
    assert status(found) is Status.INCONCLUSIVE
    assert compared([]).status is Status.INCONCLUSIVE


def test_what_does_not_decide_cannot_pass_alone() -> None:
    spec = {"ttft_p95": {"worse_by": "10%", "must_have_data": False}, "latency_p50": {"worse_by": "10%", "critical": False}}
    found = versions.interleaved(*beside(33, compare={"metrics": spec}))
    assert [(c.result.name, c.result.status) for c in found] == [
        ("compare.steady_state.latency_p50", Status.PASS),
        ("compare.nothing", Status.INCONCLUSIVE),
    ]


def test_a_side_that_was_never_asked_is_inconclusive() -> None:
    history, scenario = beside(32)
    rows = history.requests.rows()
    rows["side"] = 0
    found = versions.interleaved(replace(history, requests=rows), scenario)
    assert status(found) is Status.INCONCLUSIVE
    assert "the candidate was sent no request" in found[0].result.reason


def test_holm_tests_the_next_only_where_the_one_before_is_refuted() -> None:
    assert compare.holm({"a": 0.001, "b": 0.004, "c": 0.5}, 0.01) == {"a": 0.01 / 3, "b": 0.005, "c": 0.01}
    assert compare.holm({"a": 0.001, "b": 0.2, "c": 0.004}, 0.01) == {"a": 0.01 / 3, "c": 0.005, "b": 0.01}
    assert compare.holm({"a": 0.005, "b": 0.004}, 0.01)["b"] == 0.005
    assert compare.holm({"a": 0.02, "b": 0.006}, 0.01) == {"b": 0.005, "a": 0.005}


def test_the_interval_and_the_rule_agree() -> None:
    """An effect is refuted exactly where the interval does not hold it: what is shown cannot contradict what is said."""
    for seed, slower in ((40, 1.0), (41, 1.06), (42, 1.1), (43, 0.9)):
        for found in versions.interleaved(*beside(seed, 300, slower=slower)):
            low, high = found.interval or (0.0, 0.0)
            passed, failed = high < 0.10 if "latency" in found.result.name else None, low > 0
            if passed is not None and found.result.status is not Status.INCONCLUSIVE:
                assert (found.result.status is Status.PASS) == passed
            if found.result.status is Status.FAIL:
                assert failed
