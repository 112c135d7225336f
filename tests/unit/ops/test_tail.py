"""Record exceedance: rare is what the tail so far makes rare."""

from __future__ import annotations

import numpy as np
import pytest

from harness.ops.monitoring.detectors.tail import UNTRIED, Tail

FLOOR = 1e-9


def taught(values: np.ndarray) -> Tail:
    tail = Tail()
    for value in values:
        tail.surprise(float(value), FLOOR)
    return tail


def test_nothing_is_said_before_there_are_enough_peaks() -> None:
    tail = Tail()
    assert {tail.surprise(1.0 + i, FLOOR) for i in range(100)} == {UNTRIED}


def test_the_same_deviation_is_rarer_where_tails_are_thin() -> None:
    rng = np.random.default_rng(1)
    thin, heavy = np.abs(rng.normal(size=3000)), rng.lognormal(0, 1, 3000)
    far = [taught(values).surprise(3 * float(values.max()), FLOOR) for values in (thin, heavy)]
    assert far[0] > 8 > far[1] > 0


def test_new_records_of_calm_noise_say_little() -> None:
    rng = np.random.default_rng(2)
    for _ in range(10):
        values = np.abs(rng.normal(size=4000))
        tail = Tail()
        found = [tail.surprise(float(value), FLOOR) for value in values]
        assert sum(one > 3.0 for one in found) <= 2


def test_what_is_usually_large_is_no_surprise_but_twice_that_is() -> None:
    """A few large events among much that is small."""
    rng = np.random.default_rng(3)
    values = np.abs(rng.normal(size=3000))
    values[::200] = 30 + rng.normal(size=15)
    tail = taught(values)
    assert tail.surprise(31.0, FLOOR) < 1.5
    assert taught(values).surprise(75.0, FLOOR) > 3


def test_one_extreme_value_does_not_hide_the_next() -> None:
    values = np.abs(np.random.default_rng(4).normal(size=2000))
    values[1000] = 1e6
    assert taught(values).surprise(30.0, FLOOR) > 3


@pytest.mark.parametrize("floor", [10.0, 1e6])
def test_nothing_below_the_floor_is_large(floor: float) -> None:
    values = np.abs(np.random.default_rng(5).normal(size=2000))
    tail = Tail()
    for value in values:
        tail.surprise(float(value), floor)
    assert tail.surprise(0.9 * floor, floor) <= 0
