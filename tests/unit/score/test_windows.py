"""The worst window, against a scan that looks at every nanosecond."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.record.requests import Outcome
from harness.score import slo, stats, timeline
from harness.score.check import Result, Status
from harness.score.spans import Span
from harness.score.timeline import Timeline
from harness.score.windows import Window, scan
from tests.history_builder import history, scenario, together, traffic

LENGTH_NS = 7
times = st.lists(st.tuples(st.integers(0, 39), st.sampled_from([0.0, 1.0, 0.5])), max_size=30)


def naive(t_ns: list[int], bad: list[float], span: Span) -> list[Window]:
    """Every window, a nanosecond apart."""
    found = []
    for start in range(span.start_ns, span.end_ns - LENGTH_NS + 1):
        held = [b for t, b in zip(t_ns, bad, strict=True) if start <= t < start + LENGTH_NS]
        found.append(Window(start, sum(held), len(held)))
    return found


@given(times, st.integers(0, 8), st.integers(1, 6), st.sampled_from([1, 3, 1 << 20]))
def test_it_is_the_worst_of_all_windows(requests: list[tuple[int, float]], start: int, needed: int, at_once: int) -> None:
    span = Span(start, 40)
    t_ns, bad = [t for t, _ in requests], [b for _, b in requests]
    found = Timeline.build(np.array(t_ns, dtype=np.int64), np.array(bad, dtype=np.float64))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(timeline, "_AT_ONCE", at_once)
        scanned = scan(found, 0.25, span, LENGTH_NS / 1e9, needed)
    every = naive(t_ns, bad, span)
    carrying = [w for w in every if w.samples >= needed]
    assert scanned.leanest == min(every, key=lambda w: w.samples)
    if scanned.worst is None:
        assert not carrying
    else:
        assert scanned.worst == max(carrying, key=lambda w: w.bad / max(w.samples, 1))
    alpha = stats.ALPHA * LENGTH_NS / (40 - start)
    lean = [w for w in every if 0 < w.samples < needed and w.bad > 0.25 * w.samples]
    assert (scanned.rejected is not None) == any(stats.at_least(w.bad, w.samples, 0.25) <= alpha for w in lean)


def judged(limit: str, name: str = "availability over 5s", **changes: object) -> Result:
    bad = traffic(20, 22, outcome=Outcome.ERROR)
    rows = together(traffic(0, 20), bad, traffic(22, 40), traffic(40, 60))
    for key, value in changes.items():
        rows[key] = value
    asked = scenario(phases={"steady_state": "40s", "recovery": "20s"}, objectives={"steady_state": {name: limit}})
    (result,) = slo.check(history("0s steady_state", "40s recovery", "60s end", requests=rows), asked)
    return result


def test_a_stretch_that_the_whole_phase_hides() -> None:
    assert judged(">= 90%", "availability").status is Status.PASS
    assert judged(">= 90%") == Result(
        name="steady_state.availability over 5s",
        group="objective",
        status=Status.FAIL,
        reason="60% breaks >= 90% at worst, in the 5s from 16.96s, n=125",
        value=0.6,
        limit=">= 90%",
        unit="ratio",
        samples=125,
        interval=(0.508592, 0.686556),
    )
    assert judged(">= 60%").status is Status.PASS


def test_every_window_needs_its_samples() -> None:
    found = judged(">= 99%", outcome=Outcome.OK)
    assert found.status is Status.INCONCLUSIVE
    assert found.reason.endswith("have 125 samples; >= 99% needs 299 in every window")
    assert judged(">= 99%").status is Status.FAIL  # few samples, but 50 of 125 are bad
    assert judged(">= 99%").reason.endswith("few samples, yet more bad ones than chance allows")


def test_the_worst_percentile() -> None:
    rows = together(traffic(0, 20), traffic(20, 22, latency_s=2.0), traffic(22, 40), traffic(40, 60))
    asked = scenario(
        phases={"steady_state": "40s", "recovery": "20s"},
        objectives={"steady_state": {"latency_p95 over 10s": "<= 500ms", "latency_p95": "<= 500ms", "availability": ">= 99%"}},
    )
    told = history("0s steady_state", "40s recovery", "60s end", requests=rows)
    worst, whole, _ = slo.check(told, asked)
    assert (whole.status, worst.status, worst.value) == (Status.PASS, Status.FAIL, 2.0)


def test_a_window_longer_than_its_phase() -> None:
    assert judged(">= 90%", "availability over 50s").reason == "no window of 50s fits into the 40s that were recorded"
