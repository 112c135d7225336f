"""Objectives: what a sample can carry, what it cannot, and limits relative to the run itself."""

from __future__ import annotations

from typing import Any

import pytest
from numpy.typing import NDArray

from harness.record.requests import Outcome
from harness.score import slo
from harness.score.check import Result, Status
from tests.history_builder import history, questions, scenario, together, traffic

PHASES = {"steady_state": "30s", "recovery": "30s"}


def judged(rows: NDArray[Any], rate: str = "25/s", load: dict[str, Any] | None = None, **limits: dict[str, str]) -> dict[str, Result]:
    asked = scenario(phases=PHASES, objectives=limits, load={"shape": [{"constant": rate}]})
    told = history("0s steady_state", "30s recovery", "60s end", requests=rows, load=load, questions=questions())
    return {r.name: r for r in slo.check(told, asked)}


def one(rows: NDArray[Any], name: str, limit: str, rate: str = "25/s", **fields: Any) -> Result:
    return judged(rows, rate, **fields, steady_state={name: limit})[f"steady_state.{name}"]


def failing(count: int, rate: float = 25.0) -> NDArray[Any]:
    rows = traffic(0, 60, rate)
    rows["outcome"][:count] = Outcome.ERROR
    return rows


def test_whole_result() -> None:
    assert one(failing(3), "availability", ">= 99.5%") == Result(
        name="steady_state.availability",
        group="objective",
        status=Status.PASS,
        reason="99.6% keeps >= 99.5%, n=750, 95% interval 98.84% to 99.92%",
        value=0.996,
        limit=">= 99.5%",
        unit="ratio",
        samples=750,
        interval=(0.988355, 0.999174),
    )


@pytest.mark.parametrize(
    ("bad", "rate", "limit", "status"),
    [
        (0, 25, ">= 99.5%", Status.PASS),
        (4, 25, ">= 99.5%", Status.FAIL),
        (0, 25, ">= 99.9%", Status.INCONCLUSIVE),  # 750 faultless arrivals prove 99.6 %
        (1, 25, ">= 99.9%", Status.INCONCLUSIVE),  # neither kept nor broken beyond chance
        (30, 25, ">= 99.9%", Status.FAIL),
        (0, 2, ">= 95%", Status.PASS),
        (0, 2, ">= 99.5%", Status.INCONCLUSIVE),
        (60, 2, ">= 99.5%", Status.FAIL),  # few, but all of them failed
        (0, 25, ">= 100%", Status.PASS),  # a statement about the sample
        (1, 25, ">= 100%", Status.FAIL),
    ],
)
def test_a_rate_is_decided_only_where_the_sample_carries_it(bad: int, rate: int, limit: str, status: Status) -> None:
    assert one(failing(bad, rate), "availability", limit, f"{rate}/s").status is status


@pytest.mark.parametrize(
    ("rate", "slow_s", "status"),
    [(25, 0.1, Status.PASS), (25, 2.0, Status.FAIL), (1, 0.1, Status.INCONCLUSIVE), (1, 2.0, Status.FAIL)],
)
def test_a_percentile_needs_samples_beyond_it(rate: int, slow_s: float, status: Status) -> None:
    assert one(traffic(0, 60, rate, latency_s=slow_s), "latency_p95", "<= 800ms", f"{rate}/s").status is status


def test_nothing_measured_is_inconclusive() -> None:
    result = one(traffic(0, 60), "ttft_p95", "<= 1s")
    assert (result.status, result.samples, result.reason) == (
        Status.INCONCLUSIVE,
        0,
        "no request of this phase says anything about ttft_p95",
    )


def test_a_target_that_holds_every_slot_has_failed() -> None:
    rows = traffic(0, 60, outcome=Outcome.DROPPED)
    rows[:50] = traffic(0, 2, outcome=Outcome.TIMEOUT, latency_s=30.0)
    assert one(rows, "availability", ">= 99%").status is Status.FAIL


def test_counts() -> None:
    right = traffic(0, 60, question=1, canary=1, refused=0)
    assert one(right, "wrong_answers", "<= 0").reason == "0 wrong answers among 750; 0 of 750 bounds the share by 0.004 at 95%"
    right["canary"][7] = 0
    broken = one(right, "wrong_answers", "<= 0")
    assert (broken.status, broken.evidence) == (Status.FAIL, (f"wrong answer to the request of {7 / 25:g}s",))
    right["canary"][:20] = 0
    assert one(right, "wrong_answers", "<= 0").evidence[-1] == "and 10 more"
    assert one(traffic(0, 60), "wrong_answers", "<= 0").status is Status.INCONCLUSIVE


@pytest.mark.parametrize(
    ("accepted", "indexed", "unanswered", "status"),
    [
        (100, 100, 0, Status.PASS),
        (100, 99, 0, Status.FAIL),
        (100, 98, 1, Status.FAIL),
        (100, 98, 2, Status.INCONCLUSIVE),
        (0, 0, 0, Status.INCONCLUSIVE),
    ],
)
def test_lost_documents(accepted: int, indexed: int, unanswered: int, status: Status) -> None:
    figures = {"ingest_accepted": accepted, "ingest_indexed": indexed, "ingest_unanswered": unanswered, "ingest_missing": ["x"]}
    assert one(traffic(0, 60), "lost_ingest", "<= 0", load=figures).status is status


def test_goodput() -> None:
    rows = traffic(0, 60)
    result = judged(rows, steady_state={"goodput": ">= 24/s", "latency_p95": "<= 50ms"})["steady_state.goodput"]
    assert (result.status, result.value) == (Status.FAIL, 0.0)
    assert one(rows, "goodput", ">= 24/s").status is Status.PASS


def relative(candidate: NDArray[Any], reference: NDArray[Any] | None = None, name: str = "latency_p95", limit: str | None = None) -> Result:
    rows = together(reference if reference is not None else traffic(0, 30, latency_s=noisy), candidate)
    return judged(rows, recovery={name: limit or "<= +25% of steady_state"})[f"recovery.{name}"]


def noisy(i: int) -> float:
    return 0.1 + 0.001 * (i * 37 % 50)


def test_relative_limit_kept() -> None:
    result = relative(traffic(30, 60, latency_s=lambda i: noisy(i) * 1.2))
    assert (result.status, result.reason) == (Status.PASS, "+20.0% of steady_state keeps <= +25% of steady_state, n=750")


def test_a_real_regression_beyond_the_limit_fails() -> None:
    result = relative(traffic(30, 60, latency_s=lambda i: noisy(i) * 1.4))
    assert result.status is Status.FAIL
    assert result.reason == "+40.0% of steady_state breaks <= +25% of steady_state, p=1e-09 over blocks of 5s"


def test_noise_is_not_blamed() -> None:
    """One block of 5 s is slow: it lifts the p95 over the limit, and might as well have hit the other phase."""
    result = relative(traffic(30, 60, latency_s=lambda i: noisy(i) * (1.5 if i < 125 else 1.0)))
    assert result.status is Status.WARN
    assert "may be this run's own noise (p=0.18" in result.reason


def test_noise_that_hides_more_than_twice_the_limit_proves_nothing() -> None:
    result = relative(traffic(30, 60, latency_s=lambda i: noisy(i) * (10.0 if i < 125 else 1.0)))
    assert result.status is Status.INCONCLUSIVE


def test_a_relative_limit_on_a_share() -> None:
    half = traffic(30, 60, every={2: {"outcome": Outcome.ERROR}})
    assert relative(half, name="availability", limit=">= -1% of steady_state").status is Status.FAIL
    assert relative(traffic(30, 60), name="availability", limit=">= -1% of steady_state").status is Status.PASS


def test_too_few_samples_or_no_baseline_compare_nothing() -> None:
    asked = scenario(
        phases=PHASES, objectives={"recovery": {"latency_p95": "<= +25% of steady_state"}}, load={"shape": [{"constant": "1/s"}]}
    )
    told = history("0s steady_state", "30s recovery", "60s end", requests=traffic(0, 60, 1))
    assert [r.status for r in slo.check(told, asked)] == [Status.INCONCLUSIVE]
    result = relative(traffic(30, 60), limit="<= +25% of baseline")
    assert (result.status, result.reason) == (Status.INCONCLUSIVE, "there is no baseline run to compare with; name one with --baseline")
