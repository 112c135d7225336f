"""Two sides by blocks of time: what is found, and what is left to chance or to drift."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from harness.score import blockwise, student
from harness.score.blockwise import Blocks


def side(*bad: float, n: int = 100) -> Blocks:
    return Blocks.of_shares([(b, n) for b in bad])


@pytest.mark.parametrize("df", [3.0, 7.5, 31.0])
@pytest.mark.parametrize("t", [-3.0, 0.0, 0.5, 2.5, 9.0])
def test_student_is_students(df: float, t: float) -> None:
    assert student.upper_tail(t, df) == pytest.approx(scipy_stats.t.sf(t, df), rel=1e-9)
    assert student.critical(0.002, df) == pytest.approx(scipy_stats.t.isf(0.002, df), rel=1e-9)


def test_the_reading_without_drift_is_welchs_test_of_the_blocks() -> None:
    rng = np.random.default_rng(3)
    base, candidate = rng.integers(0, 100, 8), rng.integers(0, 100, 6)
    found = blockwise.still(side(*base), side(*candidate))
    known = scipy_stats.ttest_ind(candidate, base, equal_var=False, alternative="greater")
    assert (found.df, found.above(0.0)) == (pytest.approx(known.df), pytest.approx(known.pvalue))


def test_the_reading_with_drift_is_the_analysis_of_covariance() -> None:
    """The coefficient of the side in a regression on side and time, the candidate's time following the base's."""
    rng = np.random.default_rng(4)
    values = np.concatenate([rng.integers(0, 50, 8), rng.integers(20, 90, 8)]) / 100.0
    time, which = np.arange(16) / 8.0, np.repeat([0.0, 1.0], 8)
    design = np.column_stack([np.ones(16), which, time])
    solved, residual, *_ = np.linalg.lstsq(design, values, rcond=None)
    error = np.sqrt(residual[0] / 13 * np.linalg.inv(design.T @ design)[1, 1])
    drifting = blockwise.one_after_the_other(side(*values[:8] * 100), side(*values[8:] * 100)).readings[1]
    assert (drifting.difference, drifting.error, drifting.df) == (pytest.approx(solved[1]), pytest.approx(error), 13.0)


def test_a_shift_is_found_and_one_bad_stretch_is_not() -> None:
    good = side(2, 3, 1, 2, 2, 3, 1, 2)
    assert blockwise.still(good, side(12, 13, 11, 12, 14, 12, 11, 13)).above(0.0) < 1e-5
    assert blockwise.still(good, side(2, 2, 1, 3, 2, 2, 1, 95)).above(0.0) > 0.1, "one bad stretch may as well have been the other side's"


def test_seven_of_ten_blocks_a_hundred_times_worse_are_found() -> None:
    """They pass a rank test of ten averages (spinnaker/spinnaker#6278)."""
    assert blockwise.one_after_the_other(side(*[1] * 10), side(*([1] * 3 + [100] * 7))).above(0.0) < 0.01
    assert blockwise.side_by_side(side(*[1] * 10), side(*([1] * 3 + [100] * 7))).above(0.0) < 0.001


def test_a_drift_that_goes_on_is_nobodys_regression() -> None:
    rising = [10 + 2 * n for n in range(20)]
    contrast = blockwise.one_after_the_other(side(*rising[:10]), side(*rising[10:]))
    assert contrast.readings[0].above(0.0) < 1e-4, "taken alone, the levels differ"
    assert contrast.above(0.0) > 0.05
    low, high = contrast.interval(0.005)
    assert low < 0.0 < contrast.difference < high


def test_a_drift_that_becomes_faster_is_nobodys_regression_either() -> None:
    """So bends the share above a threshold while durations drift steadily. Followed along their own lines, the sides meet."""
    rng = np.random.default_rng(7)
    bent = 10 + 0.3 * np.arange(20) ** 2 + rng.normal(0.0, 1.0, 20)
    contrast = blockwise.one_after_the_other(side(*bent[:10], n=1000), side(*bent[10:], n=1000))
    times = (np.arange(10) + 0.5) / 10 - 0.5
    slopes = [np.polyfit(times, part, 1)[0] / 1000 for part in (bent[:10], bent[10:])]
    meeting = contrast.readings[2]
    assert meeting.difference == pytest.approx((bent[10:].mean() - bent[:10].mean()) / 1000 - sum(slopes) / 2)
    assert contrast.readings[1].above(0.0) < 0.02 < 0.3 < contrast.above(0.0), "the drift of the base alone does not explain it"
    worse = blockwise.one_after_the_other(side(*bent[:10], n=1000), side(*(bent[10:] + 60), n=1000))
    assert worse.above(0.0) < 0.01


def test_the_order_of_the_runs_decides_which_way_a_drift_explains() -> None:
    falling = [50 - 2 * n for n in range(20)]
    assert blockwise.one_after_the_other(side(*falling[:10]), side(*falling[10:]), order=-1).above(0.0) > 0.5
    assert blockwise.one_after_the_other(side(*falling[10:]), side(*falling[:10]), order=-1).above(0.0) > 0.05


def test_what_moves_both_sides_cancels_where_they_ran_side_by_side() -> None:
    level = np.array([5, 40, 10, 30, 20, 50, 5, 35])
    together = blockwise.side_by_side(side(*level, n=1000), side(*level + 12, n=1000))
    apart = blockwise.one_after_the_other(side(*level, n=1000), side(*level + 12, n=1000))
    assert together.above(0.0) < 0.01
    assert apart.above(0.0) > 0.05


def test_none_seen_is_not_none() -> None:
    """Without a single bad one on either side the difference still has the bound that so many samples give."""
    low, high = blockwise.side_by_side(side(*[0] * 10), side(*[0] * 10)).interval(0.001)
    assert 0.006 < high < 0.02
    assert low == -high


@pytest.mark.parametrize("few", [side(1, 2, 3, 4), side(0, 0, 0, 0, 0, n=0)])
def test_too_little_is_refused(few: Blocks) -> None:
    for contrast in (blockwise.side_by_side, blockwise.one_after_the_other):
        with pytest.raises(ValueError, match=r"needed|samples"):
            contrast(few, side(1, 2, 3, 4, 5))
