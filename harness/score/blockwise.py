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
    kept = [(side.influence[side.counts > 0], side.counts[side.counts > 0] / side.samples) for side in (base, candidate)]
    if min(len(influence) for influence, _ in kept) < LEAST_BLOCKS:
        raise ValueError(f"a side has fewer than {LEAST_BLOCKS} blocks with requests in them")
    least = base.independent + candidate.independent
    return Contrast((still(base, candidate), _drifting(candidate.share - base.share, kept, order, least)))


def still(base: Blocks, candidate: Blocks) -> Reading:
    """The reading without a drift, by Welch's test over the blocks of each side. Two of them must hold requests."""
    influences = [side.influence[side.counts > 0] for side in (base, candidate)]
    variances = [len(e) / (len(e) - 1) * float(e @ e) for e in influences]
    error = math.sqrt(max(math.fsum(variances), base.independent + candidate.independent))
    return Reading(candidate.share - base.share, error, _welch(variances, [len(e) for e in influences]))


def _drifting(difference: float, sides: Sequence[tuple[Numbers, Numbers]], order: int, least: float) -> Reading:
    """The difference that is left once the drift within the sides is taken out of it; the time unit is the length of a side.

    The drift is that of both sides, unless they plainly do not share one: then what the candidate alone shows is its own, and the base's
    drift is taken.
    """
    times = [_centred(weights) for _, weights in sides]
    spreads = [float(w @ (t * t)) for (_, w), t in zip(sides, times, strict=True)]
    slopes = [float(t @ e) / spread for (e, _), t, spread in zip(sides, times, spreads, strict=True)]
    blocks = sum(len(e) for e, _ in sides)
    if _shared(sides, times, spreads, slopes):
        spread = math.fsum(spreads)
        slope = math.fsum(one * of for one, of in zip(spreads, slopes, strict=True)) / spread
        pooled = max(_variance([e - w * t * slope for (e, w), t in zip(sides, times, strict=True)], 3), least / blocks)
        weight = math.fsum(float(c @ c) for c in (sign - order * t / spread for sign, t in zip((-1.0, 1.0), times, strict=True)))
        return Reading(difference - order * slope, math.sqrt(pooled * weight), blocks - 3.0)
    (base, weights), (candidate, _) = sides
    own = max(_variance([base - weights * times[0] * slopes[0]], 2), least / blocks)
    leverage = -1.0 - order * times[0] / spreads[0]
    error = math.sqrt(own * float(leverage @ leverage) + _variance([candidate], 1) * len(candidate))
    return Reading(difference - order * slopes[0], error, min(len(base) - 2.0, len(candidate) - 1.0))


def _shared(sides: Sequence[tuple[Numbers, Numbers]], times: Sequence[Numbers], spreads: Sequence[float], slopes: Sequence[float]) -> bool:
    """Could both slopes be the same, at 99 %?"""
    left = [e - w * t * slope for (e, w), t, slope in zip(sides, times, slopes, strict=True)]
    weight = math.fsum(float(t @ t) / spread**2 for t, spread in zip(times, spreads, strict=True))
    error = math.sqrt(_variance(left, 4) * weight)
    between = abs(slopes[1] - slopes[0])
    return between <= student.critical(_SAME_DRIFT / 2.0, sum(len(e) for e in left) - 4.0) * error


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
