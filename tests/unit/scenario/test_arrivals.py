"""Expected arrivals per phase, and how many samples an objective needs."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.scenario import arrivals
from harness.scenario.loader import load_text
from harness.scenario.model import Scenario
from harness.scenario.slis import sli_name


def scenario(shape: str, phases: str = "{warmup: 10s, steady_state: 20s, fault: 30s}") -> Scenario:
    return load_text(f"name: a\nload: {{shape: {shape}}}\nphases: {phases}\n").scenario


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("[{constant: 10/s}]", (100, 200, 300)),
        ("[{poisson: 10/s}]", (100, 200, 300)),
        ("[{constant: 10/s, for: 15s}, {constant: 2/s}]", (100, 80, 60)),
        ("[{constant: 1/s}, {constant: 4/s, for: 30s}]", (10, 20, 120)),
        ("[{ramp: {from: 0/s, to: 60/s}}]", (50, 400, 1350)),
        ("[{spike: {base: 1/s, peak: 11/s}}]", (10, 120, 130)),
    ],
)
def test_expected_arrivals_of_each_phase(shape: str, expected: tuple[float, ...]) -> None:
    s = scenario(shape)
    assert [arrivals.expected(s, phase) for phase in ("warmup", "steady_state", "fault")] == pytest.approx(expected)


def test_share_of_the_journeys_that_an_sli_is_made_of() -> None:
    s = scenario("[{constant: 10/s, for: 30s}, {constant: 10/s, mix: {ask: 1, ingest: 1}}]")
    assert arrivals.for_sli(s, "steady_state", sli_name("ttft_p95")) == pytest.approx(60)
    assert arrivals.for_sli(s, "fault", sli_name("ttft_p95")) == 0
    assert arrivals.for_sli(s, "fault", sli_name("lost_ingest")) == pytest.approx(150)
    assert arrivals.for_sli(s, "fault", sli_name("availability")) == pytest.approx(300)
    searching = scenario("[{constant: 10/s, mix: {ask: 1, search: 1}}]")
    assert arrivals.for_sli(searching, "fault", sli_name("recall_at_5")) == pytest.approx(300)
    assert arrivals.for_sli(searching, "fault", sli_name("answered")) == pytest.approx(150)


@given(st.floats(0, 100), st.floats(0, 100), st.floats(1, 50), st.floats(1, 50))
def test_phases_share_out_all_arrivals(low: float, high: float, first_s: float, second_s: float) -> None:
    s = scenario(f"[{{ramp: {{from: {low:.3f}/s, to: {high:.3f}/s}}}}]", f"{{warmup: {first_s:.3f}s, fault: {second_s:.3f}s}}")
    total = sum(arrivals.expected(s, phase) for phase in s.phases)
    assert total == pytest.approx((round(low, 3) + round(high, 3)) / 2 * s.duration_s, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    ("sli", "needed"), [("latency_p50", 30), ("latency_p95", 100), ("ttft_p99", 500), ("latency_p99.9", 5000), ("mrr", 30)]
)
def test_samples_needed(sli: str, needed: int) -> None:
    assert arrivals.samples_needed(sli_name(sli)) == needed


def test_rule_of_three() -> None:
    assert arrivals.arrivals_to_prove(0.999) == 3000
    assert arrivals.arrivals_to_prove(1.0) == math.inf
    assert arrivals.provable_ratio(800) == 0.99625
    assert arrivals.provable_ratio(0) == 0.0
