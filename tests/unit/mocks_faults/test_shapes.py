"""When faults strike: every shape against a naive model of it."""

import math
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mocks.faults import shapes
from mocks.faults.table import FaultError
from tests.unit.mocks_faults.calls import Clock, hit, table

BROKEN = {"type": "broken"}


def strikes(document: dict[str, Any], n: int) -> list[int]:
    """Numbers (from 1) of those of `n` calls that are hit."""
    faults = table()
    faults.put("x", {**BROKEN, **document})
    return [i for i in range(1, n + 1) if hit(faults)]


def hit_at(document: dict[str, Any], moments_s: list[float]) -> list[float]:
    """Those of these moments after the fault was put at which a call is hit."""
    clock = Clock()
    put_s = clock.now_s
    faults = table(clock)
    faults.put("x", {**BROKEN, **document})
    found = []
    for moment_s in moments_s:
        clock.now_s = put_s + moment_s
        if hit(faults, key=f"at {moment_s}"):
            found.append(moment_s)
    return found


@given(first=st.none() | st.integers(1, 30), after=st.integers(0, 30), every=st.integers(1, 12))
@settings(deadline=None)
def test_counting_is_what_it_says(first: int | None, after: int, every: int) -> None:
    document: dict[str, Any] = {"after": after, "every": every, **({} if first is None else {"first": first})}
    expected = [n for n in range(1, 61) if n > after and n % every == 0 and (first is None or n <= first)]
    if first is not None and not any(n <= first for n in expected):
        with pytest.raises(FaultError, match=f"first: {first} with "):
            strikes(document, 60)
    else:
        assert strikes(document, 60) == expected


def test_the_first_calls_after_others() -> None:
    assert strikes({"first": 5, "after": 3}, 10) == [4, 5]


def test_counting_by_request_counts_each_on_its_own() -> None:
    faults = table()
    faults.put("x", {**BROKEN, "first": 1, "count": "request"})
    assert [hit(faults, key=key) for key in "abab"] == [True, True, False, False]


def test_requests_told_apart_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "KEYS_REMEMBERED", 2)
    faults = table()
    faults.put("x", {**BROKEN, "first": 1, "count": "request"})
    assert [hit(faults, key=key) for key in ("a", "b", "a", "c", "a", "b")] == [True, True, False, True, False, True]


@pytest.mark.parametrize("probability", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_a_probability_takes_its_share_and_always_the_same_calls(probability: float) -> None:
    def taken() -> list[int]:
        faults = table()
        faults.put("x", {**BROKEN, "probability": probability})
        return [i for i in range(2_000) if hit(faults, key=f"key-{i}")]

    found = taken()
    deviation = math.sqrt(2_000 * probability * (1 - probability))
    assert abs(len(found) - 2_000 * probability) <= 4 * deviation
    assert taken() == found


def test_a_repetition_is_drawn_anew() -> None:
    faults = table()
    faults.put("x", {**BROKEN, "probability": 0.5})
    both = [(hit(faults, key=f"key-{i}", attempt=1), hit(faults, key=f"key-{i}", attempt=2)) for i in range(400)]
    assert {(True, True), (True, False), (False, True), (False, False)} == set(both)
    assert 60 <= both.count((True, False)) <= 140  # 100 +- 4.6 standard deviations


def test_a_burst_comes_again_and_again() -> None:
    moments_s = [0.0, 1.9, 2.0, 9.9, 10.0, 11.9, 12.1, 30.5]
    assert hit_at({"burst": {"interval_s": 10, "duration_s": 2}}, moments_s) == [0.0, 1.9, 10.0, 11.9, 30.5]


def test_a_window_comes_once() -> None:
    moments_s = [0.0, 4.9, 5.0, 7.9, 8.0, 100.0]
    assert hit_at({"window": {"start_s": 5, "duration_s": 3}}, moments_s) == [5.0, 7.9]
    assert hit_at({"window": {"duration_s": 5}}, moments_s) == [0.0, 4.9]


def test_shapes_in_one_document_must_all_hold() -> None:
    document = {"burst": {"interval_s": 10, "duration_s": 2}, "window": {"start_s": 10, "duration_s": 11}, "after": 3}
    assert hit_at(document, [0.5, 1.0, 10.0, 11.0, 12.5, 20.0, 21.5]) == [11.0, 20.0]


def test_a_ramp_makes_it_likelier() -> None:
    clock = Clock()
    faults = table(clock)
    faults.put("x", {**BROKEN, "ramp": {"over_s": 100, "from": 0.2, "to": 0.6}, "probability": 0.5})

    def share() -> float:
        return sum(hit(faults, key=f"{clock.now_s} {i}") for i in range(2_000)) / 2_000

    shares = []
    for _ in range(4):
        shares.append(share())
        clock.now_s += 50
    assert shares == [pytest.approx(expected, abs=0.045) for expected in (0.1, 0.2, 0.3, 0.3)]  # 4 standard deviations at most


def test_a_quota_hits_what_exceeds_it() -> None:
    assert hit_at({"quota": {"per_s": 1, "burst": 2}}, [0.0, 0.1, 0.2, 1.0, 1.1, 5.0, 5.1, 5.2]) == [0.2, 1.1, 5.2]
    assert hit_at({"quota": {"per_s": 0.5}}, [0.0, 1.0, 2.0, 3.0]) == [1.0, 3.0]


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"probability": 1.5}, "probability must be at least 0, at most 1, not 1.5"),
        ({"probability": None}, "probability must be a number, not None"),
        ({"first": 0}, "first must be at least 1, not 0"),
        ({"first": 1.5}, "first must be a whole number, not 1.5"),
        ({"after": -1}, "after must be at least 0, not -1"),
        ({"every": 0}, "every must be at least 1, not 0"),
        (
            {"first": 2, "after": 5},
            "first: 2 with after: 5 never holds, for both count from the first call; write first: 7 for 2 calls after those",
        ),
        ({"first": 2, "every": 3}, "first: 2 with after: 0 and every: 3 never holds; first must be at least 3"),
        ({"count": "key"}, 'count must be "all" or "request", not \'key\''),
        ({"count": []}, 'count must be "all" or "request", not []'),
        ({"burst": 5}, "burst must be an object with interval_s, duration_s, not 5"),
        ({"burst": {"interval_s": 5}}, "duration_s must be given in burst"),
        ({"burst": {"interval_s": 5, "duration_s": 5}}, "burst.duration_s must be less than burst.interval_s, 5, not 5"),
        ({"burst": {"interval_s": 5, "duration_s": 0}}, "burst.duration_s must be more than 0, not 0"),
        ({"window": {"start_s": -1, "duration_s": 1}}, "window.start_s must be at least 0, not -1"),
        ({"window": {"duration_s": 1, "end_s": 2}}, "unknown key end_s in window; it has start_s, duration_s"),
        ({"ramp": {"over_s": 0}}, "ramp.over_s must be more than 0, not 0"),
        ({"ramp": {"over_s": 1, "to": 2}}, "ramp.to must be at least 0, at most 1, not 2"),
        ({"quota": {"per_s": 0}}, "quota.per_s must be more than 0, not 0"),
        ({"quota": {"per_s": 1, "burst": 0.5}}, "quota.burst must be at least 1, not 0.5"),
    ],
)
def test_shapes_that_make_no_sense_are_refused_with_what_to_write(document: dict[str, Any], reason: str) -> None:
    with pytest.raises(FaultError) as refused:
        table().put("x", {**BROKEN, **document})
    assert str(refused.value) == reason


@given(
    start_s=st.floats(0, 50),
    duration_s=st.floats(0.1, 20),
    pause_s=st.floats(0.1, 20),
    since_s=st.floats(0, 200),
    once=st.booleans(),
)
def test_nothing_changes_before_the_next_edge(start_s: float, duration_s: float, pause_s: float, since_s: float, once: bool) -> None:
    span = shapes.Span(start_s, duration_s, math.inf if once else duration_s + pause_s)
    edge_s = span.next_edge_s(since_s)
    assert edge_s >= since_s
    now = span.holds(since_s)
    until_s = since_s + 100 if math.isinf(edge_s) else edge_s
    assume(until_s - since_s > 1e-9)  # nearer than that the sum of floats may be the edge itself
    assert all(span.holds(since_s + share * (until_s - since_s)) is now for share in (0.25, 0.5, 0.75, 0.999))
    if not math.isinf(edge_s):
        assert span.holds(edge_s + 1e-6) is not now
