"""The arrival schedule: when, which journey, which question. A pure, seeded generator of constant memory.

The k-th arrival of an evenly spaced stretch is where the integral of the rate passes k - 1/2, so that n expected arrivals are n arrivals;
the fraction left at the end of a piece carries over to the next. In a Poisson stretch the gaps of the integral are exponential with mean 1.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Collection, Iterator, Mapping
from itertools import accumulate, count, repeat
from typing import NamedTuple

from harness.load.shape import Piece, Shape


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
    mix: Mapping[str, float] = {}
    for piece, t_s in _times(shape, random.Random(f"{seed}:gaps")):
        if piece.mix is not mix:
            mix, names, weights, last = piece.mix, tuple(piece.mix), tuple(accumulate(piece.mix.values())), len(piece.mix) - 1
        journey = names[bisect(weights, journeys.random() * weights[-1], 0, last)]  # as `choices`, at a third of its time
        yield Arrival(next(numbers), t_s, journey, next(order) if journey in asking else -1)


def _times(shape: Shape, rng: random.Random) -> Iterator[tuple[Piece, float]]:
    due = 0.5  # the integral at which the next arrival comes, counted from the start of the piece
    for piece in shape.pieces:
        if piece.poisson:
            due = rng.expovariate(1.0)  # no memory: what was left of an earlier gap means nothing
        while due < piece.area:
            yield piece, piece.time_of(due)
            due += rng.expovariate(1.0) if piece.poisson else 1.0
        due = 0.5 if piece.poisson else due - piece.area


def _rounds(size: int, rng: random.Random) -> Iterator[int]:
    order = list(range(size))
    while True:
        rng.shuffle(order)
        yield from order
