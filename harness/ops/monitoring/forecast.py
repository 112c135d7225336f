"""When will it be full? A robust trend with its interval (Theil 1950, Sen 1968), and silence where there is only noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

CONFIDENCE = 0.95
FEWEST = 12
SHORTEST_S = 120.0
MOST = 300  # points: the slopes of all pairs are looked at

Verdict = Literal["grows", "steady", "shrinks", "no_trend", "too_short"]


@dataclass(frozen=True, slots=True)
class Forecast:
    """`slope_per_s` with its 95 % interval, over `observed_s`. `in_s`: seconds until full; between `soonest_s` and `latest_s`."""

    key: str
    verdict: Verdict
    value: float | None = None
    slope_per_s: float | None = None
    slope_low_per_s: float | None = None
    slope_high_per_s: float | None = None
    in_s: float | None = None
    soonest_s: float | None = None
    latest_s: float | None = None
    observed_s: float = 0.0


def exhaustion(key: str, points: Sequence[tuple[float, float]], full: float) -> Forecast:
    """When a series of (seconds, value) will reach `full`.

    A trend is believed where its interval excludes zero *and* its path over the window is larger than the scatter around it: neighbouring
    values of a resource are not independent, so the interval alone is too narrow. `no_trend` says nothing about the future.
    """
    kept = points[:: max(1, -(-len(points) // MOST))]
    if len(kept) < FEWEST or kept[-1][0] - kept[0][0] < SHORTEST_S:
        return Forecast(key, "too_short", kept[-1][1] if kept else None)
    table = np.asarray(kept, dtype=np.float64)
    t, y = table[:, 0] - table[0, 0], table[:, 1]
    slope, low, high = theil_sen(t, y)
    residuals = y - slope * t
    intercept = float(np.median(residuals))
    scatter = float(np.median(np.abs(residuals - intercept))) * 1.4826
    now = intercept + slope * float(t[-1])
    observed_s = float(t[-1])
    moved = abs(slope) * observed_s
    if moved < 1e-6 * max(abs(full), abs(now)):
        return Forecast(key, "steady", now, slope, low, high, observed_s=observed_s)
    if low <= 0.0 <= high or moved < 2.0 * scatter:
        return Forecast(key, "no_trend", now, slope, low, high, observed_s=observed_s)
    if slope < 0:
        return Forecast(key, "shrinks", now, slope, low, high, observed_s=observed_s)
    left = max(0.0, full - now)
    return Forecast(key, "grows", now, slope, low, high, left / slope, left / high, left / low, observed_s)


def theil_sen(t: np.typing.NDArray[np.float64], y: np.typing.NDArray[np.float64]) -> tuple[float, float, float]:
    """The median of the slopes of all pairs, and Sen's interval at 95 % from the variance of Kendall's S, ties of values included.

    As `scipy.stats.theilslopes` computes them, with which this is compared in the tests: the core package does without scipy.
    """
    earlier, later = np.triu_indices(len(t), 1)
    apart = t[later] - t[earlier]
    usable = apart > 0
    slopes = np.sort((y[later] - y[earlier])[usable] / apart[usable])
    n = len(t)
    _, ties_y = np.unique(y, return_counts=True)
    _, ties_t = np.unique(t, return_counts=True)

    def of_ties(counts: np.typing.NDArray[np.int64]) -> float:
        return float(np.sum(counts * (counts - 1) * (2 * counts + 5)))

    variance = (n * (n - 1) * (2 * n + 5) - of_ties(ties_t) - of_ties(ties_y)) / 18.0
    reach = 1.959963984540054 * max(variance, 0.0) ** 0.5
    pairs = len(slopes)
    lower = max(int(np.round((pairs - reach) / 2.0)) - 1, 0)
    upper = min(int(np.round((pairs + reach) / 2.0)), pairs - 1)
    return float(np.median(slopes)), float(slopes[lower]), float(slopes[upper])
