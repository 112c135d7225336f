"""Student's t distribution, in scalar `math` for the same reason as `stats`: the same verdict on every machine."""

from __future__ import annotations

import math
from functools import lru_cache

from harness.score.stats import beta_share

_LARGEST = 1e6


def upper_tail(t: float, df: float) -> float:
    """P(T > t) with `df` > 0 degrees of freedom, fractional ones too (DLMF 8.17; Abramowitz & Stegun 26.7.1)."""
    if math.isnan(t):
        return 1.0
    if math.isinf(t):
        return 0.0 if t > 0 else 1.0
    half = 0.5 * beta_share(df / (df + t * t), df / 2.0, 0.5)
    return half if t >= 0 else 1.0 - half


@lru_cache(maxsize=4096)
def critical(level: float, df: float) -> float:
    """The t beyond which a share `level` of the distribution lies, 0 < level < 0.5."""
    low, high = 0.0, 1.0
    while upper_tail(high, df) > level and high < _LARGEST:
        low, high = high, high * 2.0
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if upper_tail(middle, df) > level else (low, middle)
    return (low + high) / 2.0
