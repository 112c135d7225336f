"""Two sides compared by blocks of time: how far their shares differ, and how far chance and drift could have brought them apart.

Requests of the same seconds share their fate, so their number says little about how sure a share is; what says it is how much the share
differs from one stretch of time to the next. Each side is cut into a few stretches (`MOST_BLOCKS`), whose scatter gives the standard error
(batch means; Alexopoulos and Fishman 1997), never below what independent requests would have.

- *Side by side* (both versions served in the same seconds): the difference of the two sides in each block. What moves both cancels.
- *One after the other*: the scatter of each side's own blocks. The two sides then differ also by whatever changed with time, so there is a
  second reading, in which a common drift, as fast as the one that the blocks themselves show, has brought the later side to where it is
  (analysis of covariance with the time as covariate). What is concluded must hold in both readings. That takes about four times the
  samples, and is the price of not having run the two side by side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.score import student
from harness.score.stats import Block

MOST_BLOCKS = 16  # a side of two runs
MOST_BESIDE = 32  # of two sides in one run
LEAST_BLOCKS = 5  # a side; with fewer the scatter is known too badly to conclude anything
_SAME_DRIFT = 0.01  # two slopes are taken for one unless this refutes it
_UNSEEN = 4.0  # added to the sum of squares: a share of none in n still has a bound, about 6/n at 99.8 %, like the exact one

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Blocks:
    """One side, block by block in order of time: the sum of the scores, the sum of their squares over all, and how many there are."""

    sums: Numbers
    counts: Numbers
    squares: float

    @classmethod
    def count(cls, scores: Numbers, places: NDArray[np.int64], blocks: int) -> Blocks:
        """From scores in 0..1, each with the number of its block."""
        return cls(
            np.bincount(places, weights=scores, minlength=blocks).astype(np.float64),
            np.bincount(places, minlength=blocks).astype(np.float64),
            float(scores @ scores),
        )

    @classmethod
    def of_shares(cls, blocks: Sequence[Block]) -> Blocks:
        """From (bad, samples) of each block; of scores in 0..1 the squares add up to no more than the scores."""
        sums = np.array([bad for bad, _ in blocks], dtype=np.float64)
        return cls(sums, np.array([n for _, n in blocks], dtype=np.float64), float(sums.sum()))

    @property
    def samples(self) -> float:
        return float(self.counts.sum())

    @property
    def share(self) -> float:
        return float(self.sums.sum()) / self.samples

    @property
    def influence(self) -> Numbers:
        """What each block adds to the share beyond the share itself; sums to zero."""
        found: Numbers = (self.sums - self.share * self.counts) / self.samples
        return found

    @property
    def independent(self) -> float:
        """The variance of the share if requests were independent: the least that it can be."""
        n = self.samples
        return (max(0.0, self.squares - n * self.share**2) + _UNSEEN) / n**2


@dataclass(frozen=True, slots=True)
class Reading:
    """A difference (candidate - base) with its standard error and degrees of freedom."""

    difference: float
    error: float
    df: float

    def above(self, value: float) -> float:
        """P-value against "the true difference is at most `value`"."""
        return student.upper_tail((self.difference - value) / self.error, self.df)

    def below(self, value: float) -> float:
        """P-value against "the true difference is at least `value`"."""
        return student.upper_tail((value - self.difference) / self.error, self.df)

    def margin(self, level: float) -> float:
        return student.critical(level, self.df) * self.error


@dataclass(frozen=True, slots=True)
class Contrast:
    """The readings of one comparison; what is concluded holds in all of them."""

    readings: tuple[Reading, ...]

    @property
    def difference(self) -> float:
        """As measured: candidate - base."""
        return self.readings[0].difference

    def above(self, value: float) -> float:
        return max(r.above(value) for r in self.readings)

    def below(self, value: float) -> float:
        return max(r.below(value) for r in self.readings)

    def interval(self, level: float) -> tuple[float, float]:
        """What the true difference may be; outside it on either side with a probability of `level`."""
        return (
            min(r.difference - r.margin(level) for r in self.readings),
            max(r.difference + r.margin(level) for r in self.readings),
        )


def side_by_side(base: Blocks, candidate: Blocks) -> Contrast:
    """Both sides in the same blocks. Raises ValueError with fewer than `LEAST_BLOCKS`, or for a side without samples."""
    _enough(base, candidate)
    together = (base.counts > 0) & (candidate.counts > 0)
    between = (candidate.influence - base.influence)[together]
    k = len(between)
    if k < LEAST_BLOCKS:
        raise ValueError(f"{k} blocks hold requests of both sides; {LEAST_BLOCKS} are needed")
    scatter = k / (k - 1) * float(between @ between)
    least = base.independent + candidate.independent
    return Contrast((Reading(candidate.share - base.share, math.sqrt(max(scatter, least)), k - 1.0),))


def one_after_the_other(base: Blocks, candidate: Blocks, order: int = 1) -> Contrast:
    """Two runs of about the same length. `order` is 1 where the candidate came after the base, -1 before it.

    Raises ValueError with fewer than `LEAST_BLOCKS` a side, or for a side without samples.
    """
    _enough(base, candidate)
    lines = [_Line.through(side.influence[side.counts > 0], side.counts[side.counts > 0] / side.samples) for side in (base, candidate)]
    if min(len(line.influence) for line in lines) < LEAST_BLOCKS:
        raise ValueError(f"a side has fewer than {LEAST_BLOCKS} blocks with requests in them")
    least = base.independent + candidate.independent
    return Contrast((still(base, candidate), *_drifting(candidate.share - base.share, lines[0], lines[1], order, least)))


def still(base: Blocks, candidate: Blocks) -> Reading:
    """The reading without a drift, by Welch's test over the blocks of each side. Two of them must hold requests."""
    influences = [side.influence[side.counts > 0] for side in (base, candidate)]
    variances = [len(e) / (len(e) - 1) * float(e @ e) for e in influences]
    error = math.sqrt(max(math.fsum(variances), base.independent + candidate.independent))
    return Reading(candidate.share - base.share, error, _welch(variances, [len(e) for e in influences]))


@dataclass(frozen=True, slots=True)
class _Line:
    """One side's influence against time, and the straight line through it; the time unit is the length of a side."""

    influence: Numbers
    weights: Numbers
    times: Numbers  # of the blocks, less their mean
    spread: float
    slope: float

    @classmethod
    def through(cls, influence: Numbers, weights: Numbers) -> _Line:
        times = _centred(weights)
        spread = float(weights @ (times * times))
        return cls(influence, weights, times, spread, float(times @ influence) / spread)

    def left(self, slope: float) -> Numbers:
        """What a line of that slope leaves of each block's influence."""
        found: Numbers = self.influence - self.weights * self.times * slope
        return found

    def ahead(self, sign: float, by: float) -> float:
        """The variance, in blocks, of the side's mean (with `sign`) less the line's rise over so long a time."""
        carried = sign - by * self.times / self.spread
        return float(carried @ carried)

    def drifts(self, variance: float) -> bool:
        """Plainly, at 99 %; `variance` is that of one block."""
        error = math.sqrt(variance * float(self.times @ self.times)) / self.spread
        return abs(self.slope) > student.critical(_SAME_DRIFT / 2.0, len(self.influence) - 2.0) * error


def _drifting(difference: float, base: _Line, candidate: _Line, order: int, least: float) -> tuple[Reading, ...]:
    """What is left of the difference once the drift within the sides is taken out of it.

    The drift is that of both sides, unless they plainly do not share one. Then what the candidate shows may be its own, and the drift of
    the base alone is taken out. Where the base plainly drifts, too, it may as well have become faster or slower with time: a further
    reading follows each side along its own line to where they meet.
    """
    sides, blocks = (base, candidate), len(base.influence) + len(candidate.influence)
    if _shared(sides):
        spread = base.spread + candidate.spread
        slope = (base.spread * base.slope + candidate.spread * candidate.slope) / spread
        pooled = max(_variance([line.left(slope) for line in sides], 3), least / blocks)
        # the one slope is known from both sides
        weight = math.fsum(
            float(c @ c) for c in (sign - order * line.times / spread for sign, line in zip((-1.0, 1.0), sides, strict=True))
        )
        return (Reading(difference - order * slope, math.sqrt(pooled * weight), blocks - 3.0),)
    own = [max(_variance([line.left(line.slope)], 2), least / blocks) for line in sides]
    error = math.sqrt(own[0] * base.ahead(-1.0, order) + _variance([candidate.influence], 1) * len(candidate.influence))
    df = min(len(base.influence) - 2.0, len(candidate.influence) - 1.0)
    alone = Reading(difference - order * base.slope, error, df)
    if not base.drifts(own[0]):
        return (alone,)
    error = math.sqrt(own[0] * base.ahead(-1.0, order / 2) + own[1] * candidate.ahead(1.0, order / 2))
    df = min(len(base.influence), len(candidate.influence)) - 2.0
    return (alone, Reading(difference - order / 2 * (base.slope + candidate.slope), error, df))


def _shared(sides: Sequence[_Line]) -> bool:
    """Could both slopes be the same, at 99 %?"""
    weight = math.fsum(float(line.times @ line.times) / line.spread**2 for line in sides)
    error = math.sqrt(_variance([line.left(line.slope) for line in sides], 4) * weight)
    between = abs(sides[1].slope - sides[0].slope)
    return between <= student.critical(_SAME_DRIFT / 2.0, sum(len(line.influence) for line in sides) - 4.0) * error


def _variance(left: Sequence[Numbers], fitted: int) -> float:
    """Of one block's influence, from what a model with so many parameters leaves."""
    return math.fsum(float(e @ e) for e in left) / (sum(len(e) for e in left) - fitted)


def _centred(weights: Numbers) -> Numbers:
    """The middle of each block in 0..1, less their mean."""
    middle = (np.arange(len(weights)) + 0.5) / len(weights)
    centred: Numbers = middle - float(weights @ middle)
    return centred


def _welch(variances: Sequence[float], blocks: Sequence[int]) -> float:
    whole = math.fsum(variances)
    parts = math.fsum(v * v / (k - 1) for v, k in zip(variances, blocks, strict=True))
    return whole * whole / parts if parts > 0 else sum(blocks) - 2.0


def _enough(base: Blocks, candidate: Blocks) -> None:
    if min(len(base.counts), len(candidate.counts)) < LEAST_BLOCKS:
        raise ValueError(f"{len(base.counts)} and {len(candidate.counts)} blocks; {LEAST_BLOCKS} are needed")
    if not base.samples or not candidate.samples:
        raise ValueError("a side without samples cannot be compared")
