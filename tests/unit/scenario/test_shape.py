"""The rate is what the scenario says, and its integral agrees with it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.scenario.model import Segment
from harness.scenario.shape import Shape, ShapeError, lay_out

RATES = st.floats(0, 500)
SHAPES = st.one_of(
    st.builds(lambda r: {"constant": r}, RATES),
    st.builds(lambda r: {"poisson": r}, RATES),
    st.builds(lambda a, b: {"ramp": {"from": a, "to": b}}, RATES, RATES),
    st.builds(lambda a, b: {"spike": {"base": a, "peak": b}}, RATES, RATES),
    st.builds(lambda r: {"soak": r}, RATES),
    st.builds(lambda r, k: {"gamma": {"rate": r, "burstiness": k}}, RATES, st.sampled_from([0.2, 0.5, 1.0, 4.0])),
    st.builds(lambda a, b, n: {"steps": {"from": a, "to": b, "steps": n}}, RATES, RATES, st.integers(2, 6)),
    st.builds(lambda a, b, n: {"sweep": {"from": a, "to": a + b, "steps": n}}, st.floats(1, 50), st.floats(1, 200), st.integers(3, 8)),
    st.builds(lambda a, b, p: {"sine": {"mean": a + b, "amplitude": b, "period": p}}, RATES, RATES, st.floats(0.5, 30)),
)
RATED = ("from", "to", "base", "peak", "rate", "mean", "amplitude")
BURSTY = ("poisson", "gamma")


def written(shape: dict[str, Any], for_s: float | None = None) -> Segment:
    """A segment as the scenario file has it, from plain rates per second."""
    name, value = next(iter(shape.items()))

    def quantity(key: str, number: Any) -> Any:
        return f"{number:.3f}/s" if key in RATED else f"{number:.3f}s" if key == "period" else number

    text = {k: quantity(k, v) for k, v in value.items()} if isinstance(value, dict) else f"{value:.3f}/s"
    return Segment.model_validate({name: text} | ({} if for_s is None else {"for": f"{for_s:g}s"}))


def shape_of(*segments: Segment, duration_s: float = 30.0) -> Shape:
    return lay_out(segments, duration_s, {"ask": 1.0})


@pytest.mark.parametrize(
    ("segment", "rates"),
    [
        ({"constant": 20}, [20, 20, 20, 20, 0]),
        ({"poisson": 20}, [20, 20, 20, 20, 0]),
        ({"ramp": {"from": 0, "to": 30}}, [0, 9, 15, 29, 0]),
        ({"ramp": {"from": 30, "to": 0}}, [30, 21, 15, 1, 0]),
        ({"spike": {"base": 10, "peak": 40}}, [10, 10, 40, 10, 0]),
        ({"soak": 20}, [20, 20, 20, 20, 0]),
        ({"gamma": {"rate": 20, "burstiness": 0.5}}, [20, 20, 20, 20, 0]),
        ({"steps": {"from": 10, "to": 30, "steps": 3}}, [10, 10, 20, 30, 0]),
        ({"sweep": {"from": 10, "to": 40, "steps": 3}}, [10, 10, 20, 40, 0]),
        ({"sine": {"mean": 20, "amplitude": 10, "period": 36}}, [20, 30, 25, 10.6030738, 0]),
    ],
)
def test_rates_of_each_shape(segment: dict[str, Any], rates: list[float]) -> None:
    shape = shape_of(written(segment))
    assert [shape.rate(t) for t in (0, 9, 15, 29, 30)] == pytest.approx(rates)


def test_a_whole_period_of_a_sine_brings_its_mean() -> None:
    shape = shape_of(written({"sine": {"mean": 20, "amplitude": 20, "period": 10}}))
    assert [shape.expected(0, t) for t in (5, 10, 30)] == pytest.approx([100 + 200 / 3.14159265, 200, 600])


def test_the_segment_without_length_takes_what_is_left_wherever_it_stands() -> None:
    shape = shape_of(written({"constant": 1}, 5), written({"constant": 2}), written({"constant": 3}, 10))
    assert [(p.start_s, p.end_s, p.from_per_s) for p in shape.pieces] == [(0, 5, 1), (5, 20, 2), (20, 30, 3)]
    assert shape.expected(0, 30) == pytest.approx(65)
    assert shape.expected(4, 21) == pytest.approx(1 + 30 + 3)


def test_a_segment_may_have_a_mix_of_its_own() -> None:
    own = Segment.model_validate({"constant": "1/s", "mix": {"ingest": 2.0}, "for": "5s"})
    assert [dict(p.mix) for p in shape_of(own, written({"constant": 2})).pieces] == [{"ingest": 2.0}, {"ask": 1.0}]


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ((10, 10), "the segments last 20s, the phases 30s; drop `for` from the last segment"),
        ((20, 20), "the segments last 40s, the phases 30s"),
        ((None, None), "segments 1, 2 have no `for`; only one can take what is left"),
        ((30, None), "nothing is left for segment 2"),
    ],
)
def test_segments_that_do_not_fill_the_run_are_refused(lengths: tuple[float | None, ...], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        shape_of(*(written({"constant": 1}, length) for length in lengths))


@given(st.lists(st.tuples(SHAPES, st.integers(1, 60)), min_size=1, max_size=5), st.floats(0, 1), st.floats(0, 1))
def test_the_integral_is_additive_and_never_falls(segments: list[tuple[dict[str, Any], int]], a: float, b: float) -> None:
    duration_s = float(sum(length for _, length in segments))
    shape = shape_of(*(written(s, length) for s, length in segments), duration_s=duration_s)
    middle, end = sorted((a * duration_s, b * duration_s))
    assert 0 <= shape.expected(0, middle) <= shape.expected(0, end) + 1e-9
    assert shape.expected(0, middle) + shape.expected(middle, end) == pytest.approx(shape.expected(0, end), abs=1e-6)
    assert shape.expected(0, duration_s) == pytest.approx(sum(p.area for p in shape.pieces), abs=1e-6)


@given(SHAPES, st.integers(1, 60), st.floats(0.001, 1))
def test_time_of_is_the_inverse_of_the_integral(segment: dict[str, Any], length: int, share: float) -> None:
    for piece in shape_of(written(segment), duration_s=float(length)).pieces:
        if piece.area > 1e-3:
            t_s = piece.time_of(share * piece.area)
            assert piece.start_s <= t_s <= piece.end_s
            assert piece.area_until(t_s) == pytest.approx(share * piece.area, rel=1e-6, abs=1e-6)
