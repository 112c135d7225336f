"""Forecasts: a steady growth is found through noise, and noise alone foretells nothing."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from scipy.stats import theilslopes

from harness.ops.monitoring.forecast import exhaustion, theil_sen

HOUR = [float(t) for t in range(0, 3_600, 20)]


@pytest.mark.parametrize("seed", range(4))
def test_slopes_and_interval_are_those_of_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    t = np.sort(rng.uniform(0, 100, 60))
    y = 0.3 * t + np.round(rng.normal(0, 5, 60), 0 if seed % 2 else 6)
    slope, _, low, high = theilslopes(y, t, alpha=0.95)
    assert theil_sen(t, y) == pytest.approx((slope, low, high))


def test_a_disk_that_fills_is_told_when_whatever_the_outliers() -> None:
    random = Random(3)
    points = [(t, 0.5 + 1e-5 * t + random.gauss(0, 0.002) + (0.3 if n % 25 == 0 else 0.0)) for n, t in enumerate(HOUR)]
    found = exhaustion("host/disk:/", points, full=1.0)
    left_s = (1.0 - (0.5 + 1e-5 * HOUR[-1])) / 1e-5
    assert found.verdict == "grows" and found.in_s == pytest.approx(left_s, rel=0.1)
    assert (
        found.soonest_s is not None and found.latest_s is not None and found.soonest_s <= left_s * 1.05 and found.latest_s >= left_s * 0.95
    )


def test_noise_and_random_waves_foretell_nothing() -> None:
    alarms = 0
    for seed in range(200):
        random = Random(seed)
        alarms += exhaustion("x", [(t, 0.5 + random.gauss(0, 0.05)) for t in HOUR], full=1.0).in_s is not None
    assert alarms == 0


@pytest.mark.parametrize(
    ("values", "verdict"),
    [([0.5] * len(HOUR), "steady"), ([0.9 - 1e-5 * t for t in HOUR], "shrinks"), ([0.5] * 5, "too_short"), ([], "too_short")],
)
def test_what_does_not_run_out(values: list[float], verdict: str) -> None:
    found = exhaustion("x", list(zip(HOUR, values, strict=False)), full=1.0)
    assert (found.verdict, found.in_s) == (verdict, None)
