"""Quantities: what is written reads back, and nothing else is a quantity."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.scenario.units import FASTEST_PER_S, LONGEST_S, Limit, duration_s, limit, percent, percent_text, plain, rate_per_s

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
decimals = st.decimals(min_value=0, max_value=9999, places=3, allow_nan=False).map(str)


@given(st.floats(min_value=0, max_value=LONGEST_S))
def test_duration_round_trip(seconds: float) -> None:
    assert duration_s(f"{plain(seconds)}s") == seconds


@given(st.floats(min_value=0, max_value=FASTEST_PER_S))
def test_rate_round_trip(per_s: float) -> None:
    assert rate_per_s(f"{plain(per_s)}/s") == per_s


@given(decimals, st.sampled_from(sorted(UNITS)))
def test_duration_in_every_unit(number: str, unit: str) -> None:
    seconds = float(number) * UNITS[unit]
    if seconds <= LONGEST_S:
        assert duration_s(f" {number} {unit} ") == seconds


@given(st.sampled_from(["<=", ">=", "<", ">", "=="]), decimals, st.sampled_from(["", "%", "ms", "s", "/s"]))
def test_limit_round_trip(op: str, number: str, unit: str) -> None:
    parsed = limit(f"{op} {number}{unit}")
    assert limit(parsed.text) == parsed
    assert parsed.op == op
    assert parsed.unit == {"": "number", "%": "ratio", "ms": "s", "s": "s", "/s": "per_s"}[unit]


@given(st.text(max_size=20))
def test_any_text_parses_or_says_what_to_write(text: str) -> None:
    for parse in (duration_s, rate_per_s, limit, percent):
        try:
            value = parse(text)
        except ValueError as error:
            assert "write" in str(error)
        else:
            assert isinstance(value, Limit) or math.isfinite(value)


@pytest.mark.parametrize("text", ["10", "10 sec", "-1s", "1e3s", "s", "", "٣s", "1:30", None, 10, True, [], float("nan")])
def test_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="write a number with its unit"):
        duration_s(text)


def test_relative_limit() -> None:
    parsed = limit("<= +25% of steady_state")
    assert parsed == Limit(text="<= +25% of steady_state", op="<=", value=0.25, unit="ratio", of="steady_state")
    assert parsed.allows(1.25, reference=1.0)
    assert not parsed.allows(1.26, reference=1.0)
    with pytest.raises(ValueError, match="relative to steady_state"):
        parsed.allows(1.0)


def test_a_signed_percentage_alone_is_of_the_baseline() -> None:
    assert limit("<=+10%") == Limit(text="<=+10%", op="<=", value=0.1, unit="ratio", of="baseline")


@pytest.mark.parametrize("text", ["<= 25% of steady_state", "<= +25ms", ">= -5ms of baseline", "<= +5s"])
def test_half_a_relative_limit(text: str) -> None:
    with pytest.raises(ValueError, match="a relative limit has"):
        limit(text)


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), True, 1e300, "<= " + "9" * 400])
def test_number_that_is_no_limit(value: object) -> None:
    with pytest.raises(ValueError, match="write"):
        limit(value)


def test_a_plain_number_is_an_upper_limit() -> None:
    assert limit(0) == Limit(text="<= 0", op="<=", value=0.0, unit="number")


def test_nan_keeps_no_limit() -> None:
    assert not any(limit(f"{op} 1").allows(float("nan")) for op in ("<=", ">=", "<", ">", "=="))


def test_percent_text() -> None:
    assert percent_text(" 90.50 %") == "90.5%"
    assert percent_text("33.3%") == "33.3%"
