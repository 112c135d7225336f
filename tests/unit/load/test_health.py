"""Figures about the generator itself."""

import math

import numpy as np
import psutil
from hypothesis import given
from hypothesis import strategies as st

from harness.load.health import CpuMeter, LagHistogram
from harness.record.clock import SystemClock

LAGS = st.lists(st.integers(10_000, 60_000_000_000), min_size=1, max_size=200)


@given(LAGS, st.sampled_from([0.01, 0.5, 0.9, 0.99, 1.0]))
def test_the_histogram_is_exact_to_two_percent(lags_ns: list[int], q: float) -> None:
    histogram = LagHistogram()
    for half in (lags_ns[::2], lags_ns[1::2]):
        histogram.add(np.array(half, dtype=np.int64))
    exact_ms = sorted(lags_ns)[max(0, math.ceil(q * len(lags_ns)) - 1)] / 1e6
    assert exact_ms * (1 - 1e-9) <= histogram.quantile_ms(q) <= exact_ms * 1.0201
    assert histogram.max_ms == max(lags_ns) / 1e6


def test_nothing_and_early_starts() -> None:
    assert (LagHistogram().quantile_ms(0.99), LagHistogram().total) == (0.0, 0)
    histogram = LagHistogram()
    histogram.add(np.array([-5]))
    assert histogram.quantile_ms(0.5) == 0.0


def test_the_meter_sees_work_and_rest() -> None:
    clock = SystemClock()
    meter = CpuMeter(clock)
    begun_s = sum(psutil.Process().cpu_times()[:2])
    while sum(psutil.Process().cpu_times()[:2]) < begun_s + 0.2:
        pass  # by the processor, not by the clock: a busy machine may give this process little of it
    busy, steal = meter.read()
    clock.sleep(0.2)
    idle, _ = meter.read()
    assert idle < 0.5 * busy
    assert 0 < busy < 1.5 and 0 <= steal <= 1
