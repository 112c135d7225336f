"""Limits relative to a baseline run: what passes, what fails, and what a sample cannot tell."""

from __future__ import annotations

import numpy as np
import pytest

from harness.record.pieces import Requests
from harness.record.requests import REQUEST_DTYPE, Outcome
from harness.scenario.slis import sli_name
from harness.scenario.units import limit
from harness.score.check import Result, Status
from harness.score.context import Context
from harness.score.relative import Side
from harness.score.spans import Span
from harness.score.to_baseline import judge_to_baseline

BLANK = Result("steady_state.x", "objective", Status.INCONCLUSIVE, "")
RATE = 25
SECOND = 1_000_000_000


def side(seed: int, length_s: int, *, slower: float = 1.0, failing: float = 0.01) -> Side:
    rng = np.random.default_rng(seed)
    rows = np.zeros(length_s * RATE, dtype=REQUEST_DTYPE)
    rows["intended_ns"] = rows["start_ns"] = SECOND + np.arange(len(rows)) * SECOND // RATE
    rows["end_ns"] = rows["intended_ns"] + np.rint(0.2 * SECOND * slower * rng.lognormal(0.0, 0.2, len(rows))).astype(np.int64)
    rows["outcome"] = np.where(rng.random(len(rows)) < failing, Outcome.ERROR, Outcome.OK)
    return Side(Requests.of(rows), Span(SECOND, (1 + length_s) * SECOND), Context())


def judged(sli: str, text: str, candidate: Side, base: Side | None = None) -> Result:
    return judge_to_baseline(BLANK, candidate, base or side(1, 600), sli_name(sli), limit(text))


@pytest.mark.parametrize(
    ("sli", "text", "candidate", "expected"),
    [
        ("latency_p95", "<= +10%", {}, Status.PASS),
        ("latency_p95", "<= +10%", {"slower": 1.03}, Status.PASS),
        ("latency_p95", "<= +10%", {"slower": 1.08}, Status.INCONCLUSIVE),  # within the limit as measured, and perhaps beyond it
        ("latency_p95", "<= +10%", {"slower": 1.11}, Status.FAIL),
        ("latency_p95", "<= +10%", {"slower": 1.2}, Status.FAIL),
        ("latency_p95", "<= -10%", {"slower": 0.8}, Status.PASS),
        ("latency_p95", "<= -10%", {"slower": 1.0}, Status.FAIL),  # the improvement that was asked for is not there
        ("availability", ">= -1%", {}, Status.PASS),
        ("availability", ">= -1%", {"failing": 0.05}, Status.FAIL),
    ],
)
def test_ten_minutes_tell(sli: str, text: str, candidate: dict[str, float], expected: Status) -> None:
    found = judged(sli, text, side(2, 600, **candidate))
    assert found.status is expected, found.reason


def test_a_sample_that_could_not_tell_proves_nothing_though_the_measured_value_keeps_the_limit() -> None:
    found = judged("latency_p95", "<= +3%", side(4, 30), side(5, 30))
    assert (found.status, "interval of what is worse" in found.reason) == (Status.INCONCLUSIVE, True)


def test_too_few_blocks_or_readings_are_told() -> None:
    assert "blocks of 5s are too few" in judged("latency_p95", "<= +10%", side(2, 20), side(1, 20)).reason
    assert "a comparison needs 59 on each side" in judged("latency_p95", "<= +10%", side(2, 2)).reason


def test_the_reason_holds_all_numbers() -> None:
    found = judged("latency_p95", "<= +10%", side(2, 600, slower=1.2))
    assert found.reason.startswith("+") and "of baseline breaks <= +10%; 98% interval of what is worse: +1" in found.reason
    assert (found.samples, found.evidence[0].startswith("latency_p95 of baseline: 0.2")) == (14_849, True)


def test_the_wrong_direction_is_refused() -> None:
    with pytest.raises(ValueError, match="not the good direction"):
        judged("latency_p95", ">= +10%", side(2, 600))
