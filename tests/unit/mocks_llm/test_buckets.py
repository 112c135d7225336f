"""Token buckets: admitted on average and at once as promised, and whoever waits as told is admitted."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mocks.common.buckets import TokenBucket, spell_duration


def test_a_burst_then_the_rate() -> None:
    bucket = TokenBucket(per_s=2.0, burst=3)
    assert [bucket.take(1, 10.0) for _ in range(4)] == [0, 0, 0, 0.5]
    assert (bucket.remaining(10.0), bucket.reset_s(10.0)) == (0, 1.5)
    assert bucket.take(1, 10.25) == 0.25
    assert bucket.take(1, 10.5) == 0
    assert bucket.remaining(100.0) == 3


def test_what_is_more_than_the_bucket_holds_is_never_admitted() -> None:
    bucket = TokenBucket(per_s=1.0, burst=5)
    assert bucket.take(6, 0.0) == math.inf
    assert bucket.take(5, 0.0) == 0


def test_asking_takes_nothing() -> None:
    bucket = TokenBucket(per_s=1.0, burst=1)
    assert [bucket.wait_s(1, 0.0), bucket.wait_s(1, 0.0), bucket.take(1, 0.0), bucket.wait_s(1, 0.0)] == [0, 0, 0, 1]


def test_a_clock_that_goes_back_changes_nothing() -> None:
    bucket = TokenBucket(per_s=1.0, burst=1)
    assert bucket.take(1, 100.0) == 0
    assert bucket.take(1, 50.0) == 1
    assert bucket.take(1, 101.0) == 0


@pytest.mark.parametrize(("per_s", "burst"), [(0.0, 1), (1.0, 0), (-1.0, 1), (math.inf, 1), (math.nan, 1), (1.0, math.nan)])
def test_senseless_buckets_are_refused(per_s: float, burst: float) -> None:
    with pytest.raises(ValueError, match="must be more than 0"):
        TokenBucket(per_s, burst)


@given(
    per_s=st.floats(0.01, 1_000),
    burst=st.floats(1, 10_000),
    asked=st.lists(st.tuples(st.floats(0, 100), st.floats(0.1, 1)), max_size=40),
)
def test_whoever_waits_as_told_is_admitted_and_the_rate_is_never_exceeded(
    per_s: float, burst: float, asked: list[tuple[float, float]]
) -> None:
    bucket, now_s, taken = TokenBucket(per_s, burst), 0.0, 0.0
    for pause_s, share in asked:
        now_s += pause_s
        units = share * burst
        wait_s = bucket.take(units, now_s)
        if wait_s > 0:
            now_s += wait_s
            assert bucket.take(units, now_s) == 0
        taken += units
        assert taken <= burst + per_s * now_s + 1e-6 * (len(asked) + taken)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "0ms"), (0.0111, "12ms"), (0.9999, "1000ms"), (1.0, "1s"), (1.1, "2s"), (60, "1m0s"), (360, "6m0s")]
)
def test_durations_are_spelt_as_the_provider_does(seconds: float, text: str) -> None:
    assert spell_duration(seconds) == text
