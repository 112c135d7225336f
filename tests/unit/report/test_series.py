"""Binning, and the geometry of plots."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.record import events as ev
from harness.record.history import History
from harness.record.requests import REQUEST, Outcome
from harness.report.axis import Axis, nice_step
from harness.report.series import MAX_BINS, length_s, series
from harness.report.svg import stretches
from tests.unit.report.sample import T0, S, event


def history(rows: list[tuple[float, float, Outcome]], length: float = 4.0) -> History:
    """Requests as (intended s, latency s, outcome)."""
    requests = np.zeros(len(rows), dtype=REQUEST)
    for n, (intended_s, latency_s, outcome) in enumerate(rows):
        requests[n]["intended_ns"] = T0 + round(intended_s * S)
        requests[n]["end_ns"] = T0 + round((intended_s + latency_s) * S)
        requests[n]["outcome"] = outcome
    phase = [
        event(0, ev.PHASE, name="warmup", state="start", planned_end_ns=T0 + round(length * S)),
        event(length, ev.PHASE, name="warmup", state="end"),
    ]
    return History(events=tuple(phase), requests=requests)


def test_every_series_of_a_small_run() -> None:
    found = series(
        history(
            [(0.1, 0.5, Outcome.OK), (0.2, 1.0, Outcome.OK), (1.5, 2.0, Outcome.TIMEOUT), (1.6, 0.1, Outcome.ERROR), (3.9, 9.0, Outcome.OK)]
        )
    )
    assert found.times_s() == (0.5, 1.5, 2.5, 3.5)
    assert found.offered_per_s == (2.0, 2.0, 0.0, 1.0)
    assert found.served_per_s == (1.0, 1.0, 0.0, 0.0), "what ends after the last phase is outside of the plot"
    assert found.latency_s[50] == (0.75, 2.0, None, 9.0), "an error has no latency, a timeout has its whole one"
    assert found.failures_per_s[Outcome.TIMEOUT] == (0.0, 1.0, 0.0, 0.0)
    assert found.failures_per_s[Outcome.ERROR] == (0.0, 1.0, 0.0, 0.0)


def test_no_requests_and_no_phases() -> None:
    assert series(history([])).latency_s[95] == (None,) * 4
    assert series(History()).bins == 1


def test_long_runs_get_wider_bins() -> None:
    long = history([(0.5, 0.1, Outcome.OK), (6.0, 0.1, Outcome.OK)], length=3600)
    found = series(long)
    assert length_s(long) == 3600
    assert (found.bins, found.bin_s) == (MAX_BINS, 6.0)
    assert found.offered_per_s[:3] == (pytest.approx(1 / 6), pytest.approx(1 / 6), 0.0)


@given(st.lists(st.tuples(st.floats(0, 3.99), st.floats(0, 20), st.sampled_from(list(Outcome))), max_size=50))
def test_offered_counts_every_arrival_once(rows: list[tuple[float, float, Outcome]]) -> None:
    found = series(history(rows))
    assert sum(v or 0.0 for v in found.offered_per_s) == pytest.approx(len(rows))
    failed = sum(sum(v or 0.0 for v in values) for values in found.failures_per_s.values())
    assert failed == pytest.approx(sum(outcome is not Outcome.OK for *_, outcome in rows))


def test_axis_keeps_everything_on_the_plot() -> None:
    axis = Axis(0.0, 100.0)
    assert axis.x(-5) == axis.x(0) < axis.x(50) < axis.x(100) == axis.x(105)
    assert axis.ticks_s() == [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100]


@given(st.floats(1e-6, 1e9), st.integers(2, 12))
def test_nice_step_gives_about_so_many_ticks(span: float, ticks: int) -> None:
    step = nice_step(span, ticks)
    assert span / ticks * 0.99 <= step <= span / ticks * 2.6


def test_gaps_break_a_line() -> None:
    assert list(stretches([None, 1.0, 2.0, None, None, 3.0])) == [[1, 2], [5]]
    assert list(stretches([])) == []


def test_wide_bins_keep_their_extremes() -> None:
    burst = [(12.0 + n / 100, 0.1, Outcome.ERROR) for n in range(50)]
    found = series(history([*burst, (13.0, 0.1, Outcome.OK), (14.0, 7.0, Outcome.OK)], length=3600))
    assert (found.bin_s, found.offered_per_s[2]) == (6.0, 52 / 6)
    assert (found.offered_range_per_s[0][2], found.offered_range_per_s[1][2]) == (0.0, 50.0), "a burst of one second is not averaged away"
    assert found.failed_range_per_s[1][2] == 50.0
    assert (found.latency_range_s[0][2], found.latency_range_s[1][2]) == (pytest.approx(0.1), pytest.approx(7.0))


@given(st.lists(st.tuples(st.floats(0, 1199), st.floats(0, 20), st.sampled_from(list(Outcome))), max_size=80))
def test_the_mean_of_a_bin_lies_within_its_extremes(rows: list[tuple[float, float, Outcome]]) -> None:
    found = series(history(rows, length=1200))
    assert found.bin_s == 2.0
    for values, (lows, highs) in ((found.offered_per_s, found.offered_range_per_s), (found.served_per_s, found.served_range_per_s)):
        assert all(low <= value <= high for value, low, high in zip(values, lows, highs, strict=True))
    for p, values in found.latency_s.items():
        lows, highs = found.latency_range_s
        assert all(v is None or low <= v <= high for v, low, high in zip(values, lows, highs, strict=True)), p
