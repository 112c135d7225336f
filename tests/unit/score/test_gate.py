"""Policy: merging, Keptn's weighing, exit codes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.gate import Verdict, decide
from harness.score.check import Result, Status
from tests.history_builder import scenario

PASS, WARN, UNKNOWN, FAIL = Status.PASS, Status.WARN, Status.INCONCLUSIVE, Status.FAIL


def result(status: Status, name: str = "fault.availability", group: str = "objective") -> Result:
    return Result(name, group, status, f"because of {name}")


def gated(*results: Result, strict: bool = False, gate: dict[str, Any] | None = None) -> Verdict:
    return decide(results, scenario(gate=gate, objectives={"fault": {"availability": ">= 9%", "answered": ">= 9%"}}), strict=strict)


@pytest.mark.parametrize(
    ("statuses", "merged", "code"),
    [
        ([PASS, PASS], PASS, 0),
        ([PASS, WARN], WARN, 0),
        ([WARN, UNKNOWN], UNKNOWN, 3),
        ([PASS, UNKNOWN, FAIL], FAIL, 1),
    ],
)
def test_without_a_gate_every_check_must_pass(statuses: list[Status], merged: Status, code: int) -> None:
    verdict = gated(*(result(s, f"c{i}") for i, s in enumerate(statuses)))
    assert (verdict.status, verdict.exit_code, verdict.score) == (merged, code, None)


def test_strict_makes_a_warning_fail() -> None:
    assert gated(result(WARN), strict=True).exit_code == 1
    assert gated(result(WARN), strict=True).status is WARN


@pytest.mark.parametrize("results", [[], [result(PASS, "validity.record", "validity"), result(PASS, "safety.f.gone", "safety")]])
def test_nothing_asserted(results: list[Result]) -> None:
    verdict = gated(*results)
    assert (verdict.status, verdict.exit_code) == (UNKNOWN, 3)
    assert "nothing was asserted" in verdict.reason


def test_the_reason_names_the_worst_check() -> None:
    verdict = gated(result(UNKNOWN, "a"), result(FAIL, "b"), result(FAIL, "c"))
    assert verdict.reason == "b: because of b (and 1 more)"


A, B = "fault.availability", "fault.answered"


@pytest.mark.parametrize(
    ("first", "second", "gate", "status", "score"),
    [
        (PASS, PASS, {"pass": "90%"}, PASS, 1.0),
        (PASS, WARN, {"pass": "90%", "warn": "75%"}, WARN, 0.75),
        (PASS, FAIL, {"pass": "90%", "warn": "75%"}, FAIL, 0.5),
        (PASS, FAIL, {"pass": "90%", "weights": {A: 9}}, PASS, 0.9),
        (FAIL, PASS, {"pass": "90%", "weights": {B: 9}}, PASS, 0.9),
        (FAIL, PASS, {"pass": "90%", "weights": {B: 9}, "key": [A]}, FAIL, 0.9),
        (WARN, PASS, {"pass": "90%", "weights": {B: 9}, "key": [A]}, WARN, 0.95),
        (UNKNOWN, PASS, {"pass": "50%", "warn": "10%"}, UNKNOWN, None),
        (UNKNOWN, FAIL, {"pass": "50%", "warn": "10%", "key": [B]}, FAIL, None),
    ],
)
def test_weighing(first: Status, second: Status, gate: dict[str, Any], status: Status, score: float | None) -> None:
    verdict = gated(result(first, A), result(second, B), gate=gate)
    assert (verdict.status, verdict.score) == (status, score)


@pytest.mark.parametrize("group", ["expect", "validity", "safety"])
@pytest.mark.parametrize("status", [FAIL, UNKNOWN])
def test_only_objectives_are_averaged(group: str, status: Status) -> None:
    verdict = gated(result(PASS, A), result(status, "other", group), gate={"pass": "1%", "warn": "1%"})
    assert (verdict.status, verdict.score, verdict.reason) == (status, 1.0, "other: because of other")


def test_a_gate_needs_something_to_weigh() -> None:
    assert gated(result(PASS, "expect.f.alert", "expect"), gate={"pass": "50%", "warn": "10%"}).status is UNKNOWN
    missing = gated(result(PASS, A), gate={"pass": "50%", "warn": "10%", "key": [B]})
    assert (missing.status, missing.reason) == (UNKNOWN, f"key objective {B} was not judged")


def test_json() -> None:
    document = gated(result(PASS)).to_json()
    assert {k: v for k, v in document.items() if k != "checks"} == {
        "verdict": "PASS",
        "exit_code": 0,
        "reason": "all 1 checks pass",
        "score": None,
    }
    assert document["checks"][0]["name"] == A


groups = st.sampled_from(["validity", "objective", "expect", "safety"])
several = st.lists(st.builds(lambda i, s, g: result(s, f"c{i}", g), st.integers(0, 9), st.sampled_from(Status), groups), max_size=8)
gates = st.sampled_from([{}, {"pass": "90%"}, {"pass": "50%", "warn": "10%"}])


@given(several, gates, groups, st.integers(0, 8))
def test_an_inconclusive_check_never_makes_a_pass(results: list[Result], gate: dict[str, Any], group: str, place: int) -> None:
    results.insert(place, result(UNKNOWN, "added", group))
    assert gated(*results, gate=gate or None).status in (UNKNOWN, FAIL)
