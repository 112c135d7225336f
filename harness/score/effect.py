"""How much worse one SLI is on the candidate's side: the effect, and how sure it is.

An effect is positive where the candidate is worse: of a share, the points that it lost (0.01: availability fell from 99.9 % to 98.9 %);
of a percentile, by how much it grew (0.10: 10 % longer). The test of a percentile needs no density: if the candidate's durations were
`1 + effect` times the base's, then of both sides, the candidate's divided by that, an equal share would exceed their common percentile;
whether it does is asked by blocks. The interval holds the effects that are not refuted (the test inverted), so it never contradicts the
verdict.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from harness.scenario.slis import SliName
from harness.score import blockwise, stats
from harness.score.blockwise import Blocks, Contrast
from harness.score.sli import Observations
from harness.score.spans import Span

Design = Literal["interleaved", "sequential"]
_WIDEST = 10.0  # log2 of the largest ratio that an interval tells: 1024 times
_STEPS = 34  # halvings: the bounds are exact to a millionth


class Effect(Protocol):
    """What is concluded from; p-values are one-sided."""

    @property
    def measured(self) -> float:
        """How much worse the candidate was."""
        ...

    def above(self, value: float) -> float:
        """P-value against "the candidate is worse by at most `value`"."""
        ...

    def below(self, value: float) -> float:
        """P-value against "the candidate is worse by at least `value`"."""
        ...

    def interval(self, level: float) -> tuple[float, float]:
        """What the true effect may be, `level` on either side."""
        ...


@dataclass(frozen=True, slots=True)
class Side:
    """One side's readings of an SLI, and the blocks that they are cut into."""

    observations: Observations
    blocks: Sequence[Span]

    @property
    def places(self) -> NDArray[np.int64]:
        """The block of each reading; -1 outside all."""
        starts = np.array([b.start_ns for b in self.blocks], dtype=np.int64)
        ends = np.array([b.end_ns for b in self.blocks], dtype=np.int64)
        place = np.searchsorted(starts, self.observations.t_ns, side="right") - 1
        outside = (place < 0) | (self.observations.t_ns >= ends[np.maximum(place, 0)])
        found: NDArray[np.int64] = np.where(outside, -1, place)
        return found


@dataclass(frozen=True)
class Comparison:
    """Two sides that are to be compared. `order` is -1 where the candidate was measured before the base."""

    base: Side
    candidate: Side
    design: Design
    order: int = 1

    def contrast(self, base: Blocks, candidate: Blocks) -> Contrast:
        if self.design == "interleaved":
            return blockwise.side_by_side(base, candidate)
        return blockwise.one_after_the_other(base, candidate, self.order)


def effect(comparison: Comparison, sli: SliName) -> Effect:
    """Raises ValueError where a side has too few blocks, or no reading."""
    if sli.percentile:
        return Growth.of(comparison, sli.argument or 0.0)
    return _loss(comparison, sli.good == "lower")


def _loss(comparison: Comparison, lower_is_good: bool) -> Effect:
    base, candidate = (_scored(side, lower_is_good) for side in (comparison.base, comparison.candidate))
    return Loss(comparison.contrast(base, candidate), base, candidate.samples)


def _scored(side: Side, lower_is_good: bool) -> Blocks:
    places = side.places
    inside = places >= 0
    values = side.observations.values[inside].astype(np.float64)
    return Blocks.count(values if lower_is_good else 1.0 - values, places[inside], len(side.blocks))


@dataclass(frozen=True, slots=True)
class Loss:
    """Of a share, in points: the bad ones that were added."""

    contrast: Contrast
    base: Blocks
    candidates: float

    @property
    def measured(self) -> float:
        return self.contrast.difference

    def above(self, value: float) -> float:
        return self.contrast.above(value)

    def below(self, value: float) -> float:
        """With at least the scatter that a share so much worse would have: few bad ones seen must not also shrink the doubt."""
        share = min(1.0, max(0.0, self.base.share + value))
        least = math.sqrt(self.base.independent + share * (1.0 - share) / self.candidates)
        return max(replace(r, error=max(r.error, least)).below(value) for r in self.contrast.readings)

    def interval(self, level: float) -> tuple[float, float]:
        low, widest = self.contrast.interval(level)
        return (low, _bisect(lambda value: self.below(value) <= level, self.measured, max(1.0, widest)))


@dataclass(frozen=True)
class Durations:
    """One side's durations in ascending order, each with its block, and how many each block has."""

    values: NDArray[np.float64]  # nanoseconds
    places: NDArray[np.int64]
    counts: NDArray[np.float64]

    @classmethod
    def of(cls, side: Side) -> Durations:
        """Raises ValueError where none lies in the blocks."""
        place = side.places
        values, place = side.observations.values[place >= 0].astype(np.float64), place[place >= 0]
        if not len(values):
            raise ValueError("a side without samples cannot be compared")
        order = np.argsort(values)  # equal ones exceed a threshold together, in whatever order
        counts = np.bincount(place, minlength=len(side.blocks)).astype(np.float64)
        return cls(values[order], place[order], counts)

    def above(self, threshold: float) -> Blocks:
        """Which of them exceed a threshold, by blocks."""
        first = int(np.searchsorted(self.values, threshold, side="right"))
        over = np.bincount(self.places[first:], minlength=len(self.counts)).astype(np.float64)
        return Blocks(over, self.counts, float(len(self.values) - first))


@dataclass(frozen=True)
class Growth:
    """Of a percentile, as a ratio less one."""

    comparison: Comparison
    percentile: float
    base: Durations
    candidate: Durations

    @classmethod
    def of(cls, comparison: Comparison, percentile: float) -> Growth:
        """Raises ValueError where a side has too few blocks, or no reading in them."""
        found = cls(comparison, percentile, Durations.of(comparison.base), Durations.of(comparison.candidate))
        found.contrast(0.0)  # raises here rather than later
        return found

    @cached_property
    def measured(self) -> float:
        base, candidate = (side.values[_rank(self.percentile, len(side.values))] for side in (self.base, self.candidate))
        return float(candidate / base) - 1.0 if base > 0 else (math.inf if candidate > 0 else 0.0)

    def contrast(self, growth: float) -> Contrast:
        """The shares that exceed the common percentile, were the candidate's durations `1 + growth` times too long."""
        scaled = self.candidate.values / (1.0 + growth)
        rank = _rank(self.percentile, len(self.base.values) + len(scaled))
        threshold = _of_both(self.base.values, scaled, rank)
        shrunk = replace(self.candidate, values=scaled)
        return self.comparison.contrast(self.base.above(threshold), shrunk.above(threshold))

    def above(self, value: float) -> float:
        return self.contrast(value).above(0.0)

    def below(self, value: float) -> float:
        return self.contrast(value).below(0.0)

    def interval(self, level: float) -> tuple[float, float]:
        low = _edge(lambda growth: self.above(growth) > level)
        high = _edge(lambda growth: self.below(growth) <= level)
        return (low, high)


def _rank(percentile: float, count: int) -> int:
    """The place of a percentile among ascending values (nearest rank)."""
    return max(0, stats.rank_of(percentile, count) - 1)


def _of_both(first: NDArray[np.float64], second: NDArray[np.float64], rank: int) -> float:
    """The value at that place of two ascending rows taken together."""
    low, high = max(0, rank - len(second)), min(rank, len(first))  # how many of the first come before it
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if first[middle] < second[rank - middle - 1] else (low, middle)
    return min(float(row[n]) for row, n in ((first, low), (second, rank - low)) if n < len(row))


def _edge(beyond: Callable[[float], bool]) -> float:
    """Where a condition on the growth turns true, on a logarithmic scale; the widest bound where it never does, or always is."""
    return math.exp2(_bisect(lambda log: beyond(math.exp2(log) - 1.0), -_WIDEST, _WIDEST)) - 1.0


def _bisect(beyond: Callable[[float], bool], low: float, high: float) -> float:
    for _ in range(_STEPS):
        middle = (low + high) / 2.0
        low, high = (low, middle) if beyond(middle) else (middle, high)
    return (low + high) / 2.0
