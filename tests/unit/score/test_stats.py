"""The statistics agree with scipy, and keep their promises on the small samples that runs have."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special
from scipy import stats as scipy_stats

from harness.score import stats


@given(st.floats(0.0, 1.0), st.floats(0.3, 1e5), st.floats(0.3, 1e5))
def test_beta_share_is_the_incomplete_beta_function(x: float, a: float, b: float) -> None:
    assert stats.beta_share(x, a, b) == pytest.approx(special.betainc(a, b, x), rel=1e-8, abs=1e-10)


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_share_interval_is_clopper_pearson(counts: tuple[int, int]) -> None:
    good, n = counts
    expected = scipy_stats.binomtest(good, n).proportion_ci(0.95, "exact")
    assert stats.share_interval(good, n) == pytest.approx((expected.low, expected.high), abs=1e-9)


@given(st.integers(1, 2000), st.integers(0, 60), st.floats(0.001, 0.5))
def test_exceeds_is_the_one_sided_binomial_test(n: int, bad: int, allowed: float) -> None:
    bad = min(bad, n)
    p = scipy_stats.binomtest(bad, n, allowed, alternative="greater").pvalue
    if abs(p - 0.05) > 1e-9:
        assert stats.exceeds(bad, n, allowed) == (p <= 0.05)


def test_nothing_exceeds_without_samples() -> None:
    assert not stats.exceeds(0, 0, 0.01)
    assert stats.share_interval(0, 0) == (0.0, 1.0)
    assert stats.bound_of_none(0) == 1.0


@pytest.mark.parametrize(("share", "n"), [(0.95, 59), (0.99, 299), (0.995, 598), (0.999, 2995), (0.9, 29), (1.0, 1), (0.0, 1)])
def test_rule_of_three(share: float, n: int) -> None:
    assert stats.samples_to_prove(share) == n


def test_800_faultless_arrivals_prove_99_6_not_99_9() -> None:
    assert stats.samples_to_prove(0.996) <= 800 < stats.samples_to_prove(0.999)
    assert 1.0 - stats.bound_of_none(800) == pytest.approx(0.99626, abs=1e-5)
    assert stats.bound_of_none(60) == pytest.approx(0.0487, abs=1e-4)


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=300), st.sampled_from([1.0, 50.0, 90.0, 95.0, 99.0, 99.9]))
def test_nearest_rank_is_an_observed_value_that_enough_do_not_exceed(values: list[int], percentile: float) -> None:
    array = np.array(values, dtype=np.int64)
    found = stats.nearest_rank(array, percentile)
    assert found in values
    assert np.count_nonzero(array <= found) * 100 >= percentile * len(values) - 1e-6
    assert np.count_nonzero(array < found) * 100 < percentile * len(values) + 1e-6


def test_percentile_interval_is_that_of_the_order_statistics() -> None:
    ranks = np.arange(1, 201)
    low, high = stats.percentile_interval(ranks, 95.0) or (0, 0)
    covered = scipy_stats.binom.cdf(high - 1, 200, 0.95) - scipy_stats.binom.cdf(low - 1, 200, 0.95)
    assert covered >= 0.95
    assert low < stats.nearest_rank(ranks, 95.0) < high
    assert stats.percentile_interval(np.arange(50), 95.0) is None, "50 samples do not reach beyond a p95"


@given(st.lists(st.sampled_from([0.0, 1.0, 1 / 3, 0.1, 0.5]), max_size=50), st.randoms())
def test_total_does_not_depend_on_the_order(values: list[float], random: object) -> None:
    shuffled = sorted(values, key=lambda _: random.random())  # type: ignore[attr-defined]  # hypothesis' own Random
    assert stats.total(np.array(values)) == stats.total(np.array(shuffled))
