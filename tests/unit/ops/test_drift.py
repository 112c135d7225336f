"""Drift: the statistics agree with scipy, chance is told from change whatever the sizes, and ADWIN follows a mean in little memory."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from harness.ops.monitoring.detectors import drift
from harness.ops.monitoring.detectors.drift import Adwin, Sliding, js, ks, mmd, psi


@pytest.mark.parametrize("shift", [0.0, 0.3, 1.0])
def test_ks_is_that_of_scipy(shift: float) -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=200), rng.normal(shift, 1, 150)
    statistic, p = ks(a, b)
    expected = scipy.stats.ks_2samp(a, b)
    assert statistic == pytest.approx(expected.statistic)
    assert np.log10(p + 1e-12) == pytest.approx(np.log10(expected.pvalue + 1e-12), abs=0.3)


@pytest.mark.parametrize("freedom", [1, 2, 4, 9, 19])
def test_the_quantile_of_chi_squared(freedom: int) -> None:
    assert drift._chi_squared(freedom) == pytest.approx(scipy.stats.chi2.ppf(0.999, freedom), rel=0.015)


@pytest.mark.parametrize("measure", [psi, js])
@pytest.mark.parametrize(("n", "m"), [(100, 50), (1000, 300), (300, 1000)])
def test_chance_stays_below_the_threshold_whatever_the_sizes(measure: object, n: int, m: int) -> None:
    rng = np.random.default_rng(2)
    exceeded = sum(found > limit for found, limit in (measure(rng.normal(size=n), rng.normal(size=m)) for _ in range(300)))  # type: ignore[operator]
    assert exceeded <= 4
    found, limit = measure(rng.normal(size=n), rng.normal(1.5, 1, m))  # type: ignore[operator]
    assert found > limit


def test_mmd_sees_a_change_that_no_mean_shows() -> None:
    rng = np.random.default_rng(3)
    a, same, wider = rng.normal(size=(80, 8)), rng.normal(size=(60, 8)), rng.normal(0, 2, size=(60, 8))
    assert mmd(a, same, rng)[1] > 0.01
    assert mmd(a, wider, rng)[1] < 0.01
    assert mmd(a[:, 0], a[:40, 0], rng)[1] > 0.01
    assert mmd(np.ones((10, 2)), np.ones((10, 2)), rng)[1] == 1.0


def test_adwin_follows_a_mean() -> None:
    rng = np.random.default_rng(4)
    adwin = Adwin()
    calm = [adwin.update(i, v) for i, v in enumerate(rng.normal(5, 1, 3000))]
    assert sum(calm) == 0 and adwin.width == 3000
    after = [adwin.update(3000 + i, v) for i, v in enumerate(rng.normal(5.5, 1, 1000))]
    assert 1.0 in after[:250] and adwin.width < 1500
    assert sum(len(level) for level in adwin._levels) < 80


@pytest.mark.parametrize("name", ["ks", "psi", "js"])
def test_sliding_tells_change_from_chance(name: str) -> None:
    rng = np.random.default_rng(5)
    values = np.concatenate((rng.normal(0, 1, 3000), rng.normal(0, 3, 300)))
    detector = Sliding(name)
    found = [detector.update(i, v) for i, v in enumerate(values)]
    assert max(found[:3000]) <= 0.6 and sum(s > 0.5 for s in found[:3000]) <= 1
    assert max(found[3000:3200]) > 0.5
