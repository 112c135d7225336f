"""Exact statistics of small samples.

Scalar `math` only where transcendental functions are needed: numpy's vectorised ones differ between CPUs in the last bit, and a record
must give the same verdict on every machine. Shares may have a fractional numerator (a mean of scores in 0..1): the beta functions are
defined for it, and the binomial variance bounds that of any such mean, so the bounds err on the careful side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALPHA = 0.05  # every test and bound of the scorers: 95 %
_TINY = 1e-300
_EPSILON = 1e-15
_MAX_TERMS = 100_000


def rounded(value: float) -> float:
    """Six significant digits: what is printed and stored; hides the last bits in which machines may differ."""
    return float(f"{value:.6g}")


def beta_share(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b), a and b > 0 (continued fraction, modified Lentz; DLMF 8.17.22)."""
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    if x < (a + 1.0) / (a + b + 2.0):
        return math.exp(log_front) * _beta_fraction(x, a, b) / a
    return 1.0 - math.exp(log_front) * _beta_fraction(1.0 - x, b, a) / b


def _beta_fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1.0 / _away_from_zero(1.0 - (a + b) * x / (a + 1.0))
    fraction = d
    for m in range(1, _MAX_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        for term in (even, odd):
            d = 1.0 / _away_from_zero(1.0 + term * d)
            c = _away_from_zero(1.0 + term / c)
            fraction *= c * d
        if abs(c * d - 1.0) < _EPSILON:
            return fraction
    raise ArithmeticError(f"incomplete beta did not converge at x={x}, a={a}, b={b}")


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def at_least(bad: float, n: int, share: float) -> float:
    """P(X >= bad) for X ~ binomial(n, share): how surprising so many are when the true share is `share`."""
    if bad <= 0:
        return 1.0
    if bad > n:
        return 0.0
    return beta_share(share, bad, n - bad + 1.0)


def exceeds(bad: float, n: int, allowed: float) -> bool:
    """One-sided exact binomial test: is the true share of bad ones larger than `allowed`, at 95 %?"""
    return n > 0 and at_least(bad, n, allowed) <= ALPHA


def share_interval(good: float, n: int) -> tuple[float, float]:
    """Clopper-Pearson 95 % interval of a share; (0, 1) without samples."""
    if n == 0:
        return (0.0, 1.0)
    low = 0.0 if good <= 0 else _solve(lambda x: beta_share(x, good, n - good + 1.0), ALPHA / 2)
    high = 1.0 if good >= n else _solve(lambda x: beta_share(x, good + 1.0, n - good), 1.0 - ALPHA / 2)
    return (low, high)


def _solve(increasing: Any, target: float) -> float:
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if increasing(middle) < target else (low, middle)
    return (low + high) / 2.0


def samples_to_prove(share: float) -> int:
    """Faultless samples that prove a share (or reach beyond a percentile) at 95 %: the exact rule of three, n >= ln 0.05 / ln share.

    99 % -> 299, 99.9 % -> 2995. A share of 1 (or 0) can be proved by no sample; it is then a statement about the sample, and 1 is returned.
    """
    if not 0.0 < share < 1.0:
        return 1
    return math.ceil(math.log(ALPHA) / math.log(share) - 1e-9)


def bound_of_none(n: int) -> float:
    """95 % upper bound of a share of which none was seen in n: 1 - 0.05^(1/n), about 3/n."""
    return 1.0 if n == 0 else 1.0 - ALPHA ** (1.0 / n)


def nearest_rank(values: NDArray[Any], percentile: float) -> int:
    """The exact percentile of integer values: the smallest one that at least `percentile` per cent of them do not exceed."""
    rank = rank_of(percentile, len(values))
    return int(np.partition(values, rank - 1)[rank - 1])


def percentile_interval(values: NDArray[Any], percentile: float) -> tuple[int, int] | None:
    """Distribution-free 95 % interval of a percentile from order statistics; None when the sample does not reach beyond it.

    It assumes independent requests, so on autocorrelated ones it is optimistic: it is printed, and no verdict hangs on it.
    """
    n, share = len(values), percentile / 100.0
    # X = samples below the true percentile ~ binomial(n, share). The r-th smallest is a lower bound when P(X < r) <= 2.5 %.
    low = _last_rank(n, lambda r: 1.0 - at_least(r, n, share) <= ALPHA / 2)
    high = _last_rank(n, lambda r: at_least(r, n, share) > ALPHA / 2) + 1
    if low < 1 or high > n:
        return None
    ordered = np.partition(values, (low - 1, high - 1))
    return (int(ordered[low - 1]), int(ordered[high - 1]))


def rank_of(percentile: float, n: int) -> int:
    """How many of n values a percentile is at least as large as, from 1 (nearest rank)."""
    return max(1, math.ceil(Fraction(str(percentile)) * n / 100))


def _last_rank(n: int, holds: Any) -> int:
    """The largest rank in 1..n for which a condition holds that turns false once; 0 when it holds for none."""
    low, high = 0, n
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low


def total(values: NDArray[Any]) -> float:
    """The sum of scores, correctly rounded whatever their order."""
    distinct, counts = np.unique(values, return_counts=True)
    return math.fsum(float(v) * int(c) for v, c in zip(distinct, counts, strict=True))


Block = tuple[float, int]  # (bad, samples) of one stretch of time


def share_of(blocks: Sequence[Block]) -> float:
    """The share of bad ones; 0 of nothing."""
    samples = sum(n for _, n in blocks)
    return math.fsum(b for b, _ in blocks) / samples if samples else 0.0


def drift(blocks: Sequence[Block]) -> float:
    """How much the share of bad ones changed from the first half of the blocks to the second; an odd one in the middle is in neither."""
    half = len(blocks) // 2
    return abs(share_of(blocks[len(blocks) - half :]) - share_of(blocks[:half]))
