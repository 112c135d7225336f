"""History: exact while it is raw, within 2 % afterwards, bounded always."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.ops.monitoring.history import HOUR_S, History, Series
from harness.ops.monitoring.sketch import ACCURACY, MOST_BINS, Sketch

DAY_S = 86_400.0


@given(st.lists(st.floats(-1e6, 1e6).filter(lambda x: abs(x) > 1e-3), min_size=1, max_size=60), st.floats(0, 1))
def test_quantiles_of_a_sketch_are_within_its_accuracy(values: list[float], q: float) -> None:
    sketch = Sketch()
    for value in values:
        sketch.add(value)
    sketch = Sketch.from_bytes(sketch.to_bytes())
    assert sketch.count == len(values)
    exact = sorted(values)[math.floor(q * (len(values) - 1))]
    assert sketch.quantile(q) == pytest.approx(exact, rel=1.01 * ACCURACY)


def test_sketches_merge_and_stay_small() -> None:
    random, one, other, both = Random(1), Sketch(), Sketch(), Sketch()
    for n in range(4_000):
        value = random.lognormvariate(0, 3)
        (one if n % 2 else other).add(value)
        both.add(value)
    one.merge(other)
    assert [one.quantile(q) for q in (0.5, 0.95, 0.99)] == [both.quantile(q) for q in (0.5, 0.95, 0.99)]
    assert len(one._bins) <= MOST_BINS
    assert Sketch.from_bytes(one.to_bytes()).quantile(0.95) == one.quantile(0.95) and len(one.to_bytes()) < 800
    with pytest.raises(ValueError, match="nothing was seen"):
        Sketch().quantile(0.5)
    with pytest.raises(ValueError, match="no finite value"):
        one.add(math.nan)


def test_a_window_that_is_raw_is_exact() -> None:
    series = Series(DAY_S)
    for t in range(600):
        series.add(float(t), float(t % 100))
    found = series.summary(599.0, 99.0)
    assert found is not None and found.exact
    assert (found.count, found.minimum, found.maximum, found.p50, found.total) == (100, 0.0, 99.0, 49.5, 4950.0)
    assert series.summary(10_000.0, 60.0) is None, "nothing was read in that minute"


def test_a_day_is_kept_by_the_minute_in_bounded_memory() -> None:
    series = Series(DAY_S)
    values = [10.0 + math.sin(t / 1000) for t in range(0, 100_000, 10)]
    for n, value in enumerate(values):
        series.add(n * 10.0, value)
    found = series.summary(99_990.0, 6 * HOUR_S)
    assert found is not None and not found.exact
    window = values[-2161:]
    assert found.count == pytest.approx(len(window), abs=61), "a whole bucket at the edge"
    assert found.p95 == pytest.approx(float(np.quantile(window, 0.95)), rel=0.02)
    assert (found.minimum, found.maximum) == (pytest.approx(min(window), rel=0.01), pytest.approx(max(window), rel=0.01))
    assert len(series._times) < 100 + 260 and [len(tier.buckets) for tier in series._tiers] == [121, 145]
    assert len(series.points(99_990.0, DAY_S, most=100)) <= 100


def test_the_rate_of_a_counter_survives_a_reset_and_the_downsampling() -> None:
    series = Series(DAY_S)
    for t in range(7_200):
        series.add(float(t), float(t % 4_000) * 3.0)  # starts again at 4 000 s
    assert series.rate_per_s(7_199.0, 600.0) == pytest.approx(3.0)
    assert series.rate_per_s(7_199.0, 7_000.0) == pytest.approx(3.0, rel=0.02)
    alone = Series(DAY_S)
    alone.add(1.0, 5.0)
    assert alone.rate_per_s(1.0, 60.0) is None


def test_what_is_no_number_or_comes_late_is_not_kept() -> None:
    series = Series(DAY_S)
    for t, value in ((1.0, 1.0), (2.0, math.nan), (3.0, math.inf), (1.0, 7.0), (4.0, 2.0)):
        series.add(t, value)
    assert series.points(4.0, 10.0) == [(1.0, 1.0), (4.0, 2.0)]


def test_the_number_of_series_is_bounded() -> None:
    history = History(DAY_S, most=2)
    for key in ("a/x", "b/x", "c/x", "a/x"):
        history.add(1.0, key, 1.0)
    assert (list(history.keys()), history.refused, "c/x" in history) == (["a/x", "b/x"], 1, False)
