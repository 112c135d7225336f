"""The arrival schedule: when, which journey, which question. A pure, seeded generator of constant memory.

The k-th arrival of an evenly spaced stretch is where the integral of the rate passes k - 1/2, so that n expected arrivals are n arrivals;
the fraction left at the end of a piece carries over to the next. Where a stretch is bursty, the gaps of the integral are drawn from a gamma
distribution with mean 1: exponential ones are a Poisson process. A replay brings its own times, and, from a run's record, its journeys.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import accumulate, count, repeat
from typing import NamedTuple

from harness.scenario.shape import Piece, Shape


class Arrival(NamedTuple):
    """One intended request: `t_s` seconds after the start of the load. `question` is an index, -1 for a journey that asks none."""

    seq: int
    t_s: float
    journey: str
    question: int


def schedule(shape: Shape, seed: int, questions: int, asking: Collection[str]) -> Iterator[Arrival]:
    """Arrivals in order of time. `asking` names the journeys that ask one of the `questions`; each is asked once before one is repeated.

    Gaps, journeys and questions have random streams of their own: another mix leaves the times as they were.
    """
    journeys = random.Random(f"{seed}:journeys")
    order = _rounds(questions, random.Random(f"{seed}:questions")) if questions else repeat(-1)
    numbers = count()
    draw: Callable[[], str] = str
    before: Piece | None = None
    for piece, t_s, recorded in _times(shape, random.Random(f"{seed}:gaps")):
        if piece is not before:
            before, draw = piece, drawn(piece.mix, journeys)
        journey = draw() if recorded is None else recorded
        yield Arrival(next(numbers), t_s, journey, next(order) if journey in asking else -1)


def _times(shape: Shape, rng: random.Random) -> Iterator[tuple[Piece, float, str | None]]:
    due = 0.5  # the integral at which the next arrival comes, counted from the start of the piece
    for piece in shape.pieces:
        if piece.replay is not None:
            yield from _replayed(piece)
            continue
        gap = _gaps(piece.burstiness, rng)
        if piece.burstiness is not None:
            due = gap()  # what was left of an earlier, even gap means nothing
        area = piece.area
        while due < area:
            yield piece, piece.time_of(due), None
            due += gap()
        due = 0.5 if piece.burstiness is not None else due - area


def _gaps(burstiness: float | None, rng: random.Random) -> Callable[[], float]:
    if burstiness is None:
        return lambda: 1.0
    if burstiness == 1.0:
        return lambda: rng.expovariate(1.0)
    return lambda: rng.gammavariate(burstiness, 1.0 / burstiness)


def _replayed(piece: Piece) -> Iterator[tuple[Piece, float, str | None]]:
    times_s = piece.replayed()
    assert piece.replay is not None
    trace = piece.replay.trace
    if trace.journey is None or piece.replay.mixed:
        yield from ((piece, t_s, None) for t_s in times_s)
    else:
        yield from ((piece, t_s, trace.journeys[number]) for t_s, number in zip(times_s, trace.journey, strict=False))


def drawn(mix: Mapping[str, float], rng: random.Random) -> Callable[[], str]:
    """Draws journeys as `random.choices` does, at a third of its time."""
    names, weights, last = tuple(mix), tuple(accumulate(mix.values())), len(mix) - 1
    return lambda: names[bisect(weights, rng.random() * weights[-1], 0, last)]


def _rounds(size: int, rng: random.Random) -> Iterator[int]:
    order = list(range(size))
    while True:
        rng.shuffle(order)
        yield from order
