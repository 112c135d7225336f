"""Burn-rate rules: the worked examples of the SRE workbook, compression, minimum events, and a replay that looks at every moment."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from harness.record.requests import Outcome
from harness.scenario.burn import BurnRate
from harness.score import burn, timeline
from harness.score.check import Result, Status
from harness.score.spans import Span
from harness.score.timeline import Timeline
from tests.history_builder import history, scenario, together, traffic

S = 1_000_000_000


def rule(**fields: Any) -> BurnRate:
    given = {"id": "r", "objective": {"availability": ">= 99.9%"}, "long": "1h", "short": "5m", "factor": 14.4, "min_events": 1}
    return BurnRate.model_validate({**given, **fields})


def outage(of: BurnRate, ratio: float, time_scale: float = 1.0, for_s: float = 3600, per_s: float = 10.0) -> float | None:
    """Seconds from the onset of a constant error ratio to the firing; no error before."""
    before_s = of.windows_s(time_scale)[0] + 5  # its long window is full
    before = np.arange(0, before_s, 1 / per_s / time_scale)
    after = np.arange(before_s, before_s + for_s, 1 / per_s / time_scale)
    t_ns = np.round(np.concatenate([before, after]) * S).astype(np.int64)
    # Errors evenly among the requests: the n-th is one where the whole part of n * ratio changes.
    bad = np.concatenate([np.zeros(len(before)), np.diff(np.floor(np.arange(len(after) + 1) * ratio + 1e-9))])
    found = burn.replay(Timeline.build(t_ns, bad), of, Span(round(before_s * S), round((before_s + for_s) * S)), time_scale)
    return None if found.first_ns is None else found.first_ns / S - before_s


WORKBOOK = [  # "Alerting on SLOs", SLO 99.9 % over 30 days; detection time = (1 - SLO) / error ratio x window x burn rate
    ({"long": "1h", "short": "5m", "factor": 14.4}, 1.0, 51.84),
    ({"long": "1h", "short": "5m", "factor": 14.4}, 0.1, 518.4),
    ({"long": "6h", "short": "30m", "factor": 6}, 1.0, 129.6),
    ({"long": "1h", "short": "5m", "factor": 14.4, "objective": {"availability": ">= 99%"}}, 1.0, 518.4),
    ({"long": "1h", "short": "5m", "factor": 14.4, "objective": {"availability": ">= 95%"}}, 1.0, 2592.0),
]


@pytest.mark.parametrize(("fields", "ratio", "after_s"), WORKBOOK)
def test_time_to_fire_is_that_of_the_workbook(fields: dict[str, Any], ratio: float, after_s: float) -> None:
    of = rule(**fields)
    assert of.fires_after_s(1.0, ratio) == pytest.approx(after_s)
    assert outage(of, ratio) == pytest.approx(after_s, abs=1.2 / ratio / 10)


@pytest.mark.parametrize(("scale", "after_s"), [(60, 8.64), (360, 1.44)])
def test_compression_divides_the_time_to_fire(scale: float, after_s: float) -> None:
    of = rule(objective={"availability": ">= 99%"})
    assert of.windows_s(scale) == (3600 / scale, 300 / scale)
    assert of.fires_after_s(scale) == pytest.approx(after_s)
    assert outage(of, 1.0, scale, for_s=20, per_s=2.0) == pytest.approx(after_s, abs=0.01)


def test_below_the_threshold_it_never_fires() -> None:
    """14.4 times the budget of 99.9 % is 1.44 %: at 1.3 % it is silent, at 1.6 % it fires once the hour is full of them."""
    assert outage(rule(), 0.013, for_s=8000, per_s=2.0) is None
    assert outage(rule(), 0.016, for_s=8000, per_s=2.0) == pytest.approx(0.9 * 3600, rel=0.03)
    assert rule().fires_after_s(1.0, 0.013) == float("inf")


def test_both_windows_must_burn() -> None:
    """An hour of errors ends: the long window remembers them, and the short one ends the alert within five minutes."""
    t = np.arange(0, 9000, 0.1)
    bad = ((t >= 3700) & (t < 5500)).astype(np.float64)
    of = rule()
    found = burn.replay(Timeline.build(np.round(t * S).astype(np.int64), bad), of, Span(0, 9000 * S), 1.0)
    (fired,) = found.firing
    assert fired.start_ns / S == pytest.approx(3751.84, abs=0.2)
    assert 5500 < fired.end_ns / S <= 5800  # the long one alone would fire until 9100
    assert fired.end_ns / S == pytest.approx(5500 + 300 * (1 - 0.0144), abs=0.3)


def test_a_default_short_window_is_a_twelfth() -> None:
    assert rule(short=None).windows_s(60) == (60.0, 5.0)


events = st.lists(st.tuples(st.integers(0, 60), st.sampled_from([0.0, 1.0])), min_size=1, max_size=40)


@given(events, st.integers(2, 12), st.integers(1, 4), st.integers(1, 3), st.sampled_from([1.0, 2.0, 5.0]))
def test_the_replay_looks_at_every_moment(requests: list[tuple[int, float]], long: int, short: int, wanted: int, factor: float) -> None:
    """Against a look at every nanosecond."""
    of = rule(objective={"availability": ">= 90%"}, factor=factor, min_events=wanted)
    windows = (max(long, short + 1), short)
    t_ns, bad = [t for t, _ in requests], [b for _, b in requests]
    found = Timeline.build(np.array(t_ns, dtype=np.int64), np.array(bad))

    def ratio(now: int, length: int) -> tuple[float, int]:
        held = [b for t, b in requests if now - length < t <= now]
        return sum(held), len(held)

    def fires(now: int) -> bool:
        seen = [ratio(now, length) for length in windows]
        return all(b > round(of.threshold * n, 9) for b, n in seen) and seen[1][0] >= wanted

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(timeline, "_AT_ONCE", 3)
        patched.setattr(BurnRate, "windows_s", lambda self, scale: (windows[0] / S, windows[1] / S))
        seen = burn.replay(found, of, Span(5, 70), 1.0)
    assert [any(span.holds(now) for span in seen.firing) for now in range(5, 70)] == [fires(now) for now in range(5, 70)]


# The checks, on a run of 25/s whose minutes are seconds.

LINES = ("0s warmup", "30s steady_state", "60s fault", "60s fault latency@llm", "100s heal", "100s recovery", "130s end")
PHASES = {"warmup": "30s", "steady_state": "30s", "fault": "40s", "recovery": "30s"}
FAULTS = [{"id": "f", "type": "llm.slow_first_token", "target": "llm", "at": "fault", "for": "40s"}]


def judged(rows: NDArray[Any], lines: tuple[str, ...] = LINES, **fields: Any) -> Result:
    given = {"id": "fast", "objective": {"availability": ">= 99%"}, "long": "1h", "factor": 14.4, **fields}
    asked = scenario(phases=PHASES, faults=FAULTS, burn_rates=[given], time_scale=120)
    (result,) = burn.check(history(*lines, requests=rows), asked)
    return result


def broken(from_s: float, to_s: float) -> NDArray[Any]:
    return together(traffic(0, from_s), traffic(from_s, to_s, outcome=Outcome.ERROR), traffic(to_s, 130))


def test_it_fires_during_its_fault() -> None:
    assert judged(broken(60, 100), fires="f", within="<= 6s") == Result(
        name="burn_rate.fast",
        group="burn_rate",
        status=Status.PASS,
        reason="fired 4.42s after the onset of f, within <= 6s",
        value=4.42,
        limit="<= 6s",
        unit="s",
        samples=1000,
        evidence=(
            "fired from 64.42s to 100s",
            "above an error ratio of 14.4% in 30s and in 2.5s, compressed 120 times; at a total outage it fires after 4.32s",
        ),
    )
    assert judged(broken(60, 100), fires="f", within="<= 4.4s").status is Status.FAIL
    assert judged(broken(60, 100), fires="f").status is Status.PASS


def test_it_does_not_fire_during_its_fault() -> None:
    found = judged(broken(60, 63), fires="f")
    assert (found.status, found.value) == (Status.FAIL, None)
    assert found.reason == "never fired during f: the burn rate was at most 10, and its factor is 14.4"


def test_what_fired_before_the_onset_says_nothing_of_the_fault() -> None:
    found = judged(broken(50, 100), fires="f")
    assert (found.status, found.reason) == (Status.INCONCLUSIVE, "it was firing already when f began")


@pytest.mark.parametrize("missing", ["60s fault latency@llm", "100s heal"])
def test_without_evidence_of_the_fault_nothing_is_said(missing: str) -> None:
    lines = tuple(line for line in LINES if line != missing)
    assert judged(broken(60, 100), lines, fires="f").status is (Status.INCONCLUSIVE if "latency" in missing else Status.PASS)


def test_silence() -> None:
    assert judged(broken(60, 100), phases=["steady_state"]) == Result(
        name="burn_rate.fast",
        group="burn_rate",
        status=Status.PASS,
        reason="silent: the burn rate was at most 0, n=750",
        value=0.0,
        limit="<= 14.4",
        unit="number",
        samples=750,
        evidence=("above an error ratio of 14.4% in 30s and in 2.5s, compressed 120 times; at a total outage it fires after 4.32s",),
    )
    loud = judged(broken(60, 100))
    assert (loud.status, loud.reason.split(";")[0]) == (Status.FAIL, "fired 64.42s into the run")
    assert loud.evidence[:2] == ("fired from 64.42s to 100s", "fired from 100s to 102.22s")


def test_silence_with_too_little_traffic_proves_nothing() -> None:
    found = judged(broken(60, 100), phases=["steady_state"], min_events=20)
    assert found.status is Status.INCONCLUSIVE
    assert "would be 9 bad requests in a short window of 2.5s, fewer than its min_events of 20: silence proves nothing" in found.reason


def test_a_few_failures_do_not_fire() -> None:
    """Two of the few requests that the windows hold at the start: above the threshold, and below min_events."""
    rows = traffic(0, 130)
    rows["outcome"][:2] = Outcome.ERROR
    assert judged(rows, phases=["warmup"]).status is Status.PASS
    assert judged(rows, phases=["warmup"], min_events=2).status is Status.FAIL


def test_a_percentile_has_a_budget_too() -> None:
    """5 % may be slower than 1 s; all are, which is a burn rate of 20, seen when the answers come."""
    rows = together(traffic(0, 60), traffic(60, 100, latency_s=2.0), traffic(100, 130))
    found = judged(rows, objective={"latency_p95": "<= 1s"}, factor=6, fires="f")
    assert (found.status, found.value) == (Status.PASS, 10.4)
