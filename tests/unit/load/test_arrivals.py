"""The schedule keeps the rate, the mix and the seed, whatever the shape."""

import itertools
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.load.arrivals import Arrival, schedule
from harness.record.frames import FrameWriter
from harness.record.requests import REQUEST
from harness.scenario.model import Segment
from harness.scenario.shape import Shape, lay_out
from tests.unit.scenario.test_shape import BURSTY, SHAPES, written

ASKING = ("ask", "ask_stream")


def of(segment: dict[str, Any], duration_s: float = 30.0, mix: dict[str, float] | None = None) -> Shape:
    return lay_out([written(segment)], duration_s, mix or {"ask": 6.0, "ask_stream": 3.0, "ingest": 1.0})


def times(shape: Shape, seed: int = 1) -> list[float]:
    return [a.t_s for a in schedule(shape, seed, 5, ASKING)]


@given(st.lists(st.tuples(SHAPES, st.integers(1, 20)), min_size=1, max_size=4), st.integers(0, 2**32))
def test_order_range_and_number(segments: list[tuple[dict[str, Any], int]], seed: int) -> None:
    duration_s = float(sum(length for _, length in segments))
    shape = lay_out([written(s, length) for s, length in segments], duration_s, {"ask": 1.0})
    arrivals = list(itertools.islice(schedule(shape, seed, 3, ASKING), 30_000))
    assert [a.seq for a in arrivals] == list(range(len(arrivals)))
    assert all(x.t_s <= y.t_s for x, y in itertools.pairwise(arrivals))
    assert all(0 <= a.t_s <= duration_s for a in arrivals)
    expected = shape.expected(0, duration_s)
    even = not any(name in s for s, _ in segments for name in BURSTY)
    # The count of a renewal process has a variance of its mean over the shape of the gaps, and 0.2 is the smallest here.
    assert abs(len(arrivals) - min(expected, 30_000)) <= (1 if even else 6 * math.sqrt(expected / 0.2) + 20)


def test_even_spacing_puts_each_arrival_in_the_middle_of_its_share() -> None:
    assert times(of({"constant": 4}, 1.0)) == pytest.approx([0.125, 0.375, 0.625, 0.875])
    ramp = of({"ramp": {"from": 0, "to": 8}}, 1.0)
    assert [ramp.expected(0, t) for t in times(ramp)] == pytest.approx([0.5, 1.5, 2.5, 3.5])


def test_a_fraction_left_by_one_segment_is_not_lost() -> None:
    shape = lay_out([written({"constant": 0.25}, 1)] * 8, 8.0, {"ask": 1.0})
    assert times(shape) == pytest.approx([2.0, 6.0])


def test_poisson_gaps_are_exponential() -> None:
    arrivals = times(of({"poisson": 50}, 200.0))
    gaps = [b - a for a, b in itertools.pairwise(arrivals)]
    mean = sum(gaps) / len(gaps)
    deviation = math.sqrt(sum((g - mean) ** 2 for g in gaps) / len(gaps))
    assert mean == pytest.approx(0.02, rel=0.05)
    assert deviation / mean == pytest.approx(1.0, abs=0.05)  # 0 for even spacing
    assert sum(g > 3 * mean for g in gaps) / len(gaps) == pytest.approx(math.exp(-3), rel=0.25)


@pytest.mark.parametrize("burstiness", [0.25, 1.0, 4.0])
def test_gamma_gaps_have_the_burstiness_that_is_asked_for(burstiness: float) -> None:
    """The coefficient of variation of gamma gaps is one over the root of their shape; with 1 they are the Poisson ones, draw by draw."""
    bursty = times(of({"gamma": {"rate": 50, "burstiness": burstiness}}, 400.0))
    gaps = [b - a for a, b in itertools.pairwise(bursty)]
    mean = sum(gaps) / len(gaps)
    deviation = math.sqrt(sum((g - mean) ** 2 for g in gaps) / len(gaps))
    assert mean == pytest.approx(0.02, rel=0.08)
    assert deviation / mean == pytest.approx(burstiness**-0.5, rel=0.08)
    assert (bursty == times(of({"poisson": 50}, 400.0))) == (burstiness == 1.0)


def test_a_replay_keeps_its_times_its_speed_and_its_end(tmp_path: Path) -> None:
    file = tmp_path / "trace.jsonl"
    file.write_text("".join(f'{{"timestamp": {ms}}}\n' for ms in (5000, 7000, 5500, 9000, 30000)))
    segments = [
        Segment.model_validate({"constant": "1/s", "for": "2s"}),
        Segment.model_validate({"trace": {"file": str(file), "format": "mooncake", "speed": 2}, "for": "3s"}),
        Segment.model_validate({"constant": "1/s", "for": "1s"}),
    ]
    shape = lay_out(segments, 6.0, {"ask": 1.0})
    assert times(shape) == pytest.approx([0.5, 1.5, 2.0, 2.25, 3.0, 4.0, 5.5])
    assert (shape.expected(0, 6), shape.expected(2, 5), shape.expected(2.1, 3.5)) == (pytest.approx(7), 4, 2)


def test_a_run_is_replayed_with_its_journeys_unless_another_mix_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "requests").mkdir()
    rows = np.zeros(4, dtype=REQUEST)
    rows["intended_ns"], rows["journey"] = [4_000_000_000, 1_000_000_000, 2_000_000_000, 2_500_000_000], [1, 0, 1, 0]
    writer = FrameWriter(tmp_path / "requests" / "load.seg", REQUEST, {"journeys": ["ask", "ingest"]})
    writer.append(rows)
    writer.close()
    use: dict[str, Any] = {"trace": {"file": str(tmp_path), "format": "record"}}
    shape = lay_out([Segment.model_validate(use)], 10.0, {"search": 1.0})
    replayed = [(a.t_s, a.journey, a.question) for a in schedule(shape, 1, 5, ASKING)]
    assert [(t, j) for t, j, _ in replayed] == [(0.0, "ask"), (1.0, "ingest"), (1.5, "ask"), (3.0, "ingest")]
    assert [q >= 0 for _, _, q in replayed] == [True, False, True, False]
    mixed = lay_out([Segment.model_validate({**use, "mix": {"search": 1}})], 10.0, {})
    assert {a.journey for a in schedule(mixed, 1, 5, ASKING)} == {"search"}


def test_the_seed_decides_and_the_mix_leaves_the_times_alone() -> None:
    shape = of({"poisson": 20})
    assert list(schedule(shape, 1, 5, ASKING)) == list(schedule(shape, 1, 5, ASKING))
    assert times(shape, 1) != times(shape, 2)
    assert times(shape, 1) == times(of({"poisson": 20}, mix={"ingest": 1.0}), 1)


def test_the_mix_is_kept_and_each_question_is_asked_once_before_one_is_repeated() -> None:
    arrivals = list(schedule(of({"constant": 100}, 60.0), 3, 40, ASKING))
    share = Counter(a.journey for a in arrivals)
    assert [share[j] / len(arrivals) for j in ("ask", "ask_stream", "ingest")] == pytest.approx([0.6, 0.3, 0.1], abs=0.03)
    asked = [a.question for a in arrivals if a.journey in ASKING]
    assert all(sorted(asked[i : i + 40]) == list(range(40)) for i in range(0, len(asked) - 40, 40))
    assert {a.question for a in arrivals if a.journey == "ingest"} == {-1}


def test_without_questions_and_without_load_there_are_none() -> None:
    assert next(schedule(of({"constant": 1}), 1, 0, ())).question == -1
    assert list(schedule(of({"constant": 0}), 1, 5, ASKING)) == []


def test_a_long_schedule_is_not_built_in_advance() -> None:
    first = next(schedule(of({"constant": 100_000}, 1e6, {"ingest": 1.0}), 1, 5, ASKING))
    assert first == Arrival(0, pytest.approx(5e-6), "ingest", -1)
