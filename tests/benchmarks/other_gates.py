"""What other gates would have said of the same two histories, with the best settings that somebody who knows the truth could give them."""

from __future__ import annotations

import warnings

import numpy as np
from scipy import stats

from tests.benchmarks.gate_histories import Floats, Requests


def per_second(requests: Requests, values: Floats) -> Floats:
    """The average of each second that has any."""
    known = ~np.isnan(values)
    place = requests.t_s[known].astype(np.int64)
    counts = np.bincount(place)
    sums = np.bincount(place, weights=values[known])
    found: Floats = sums[counts > 0] / counts[counts > 0]
    return found


def kayenta(base: Requests, candidate: Requests) -> bool:
    """Mann-Whitney on averages of each second, two-sided at 98 %, as Kayenta's judge classifies; a metric in the bad direction fails."""
    for name, sign in (("latency_s", 1.0), ("available", -1.0), ("recall", -1.0)):
        series = [sign * per_second(side, getattr(side, name)) for side in (base, candidate)]
        if np.ptp(np.concatenate(series)) == 0.0:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            p = stats.mannwhitneyu(series[1], series[0], alternative="two-sided").pvalue
        if p < 0.02 and np.mean(series[1]) > np.mean(series[0]):
            return True
    return False


def k6(candidate: Requests, limits: tuple[float, float, float]) -> bool:
    """Absolute thresholds of the candidate alone: p95, availability, recall. They lie half-way to the change that is to be found."""
    p95_s, available, recall = limits
    return bool(
        np.quantile(candidate.latency_s, 0.95) > p95_s or np.mean(candidate.available) < available or np.mean(candidate.recall) < recall
    )


def pytest_benchmark(base: Requests, candidate: Requests) -> bool:
    """`--benchmark-compare-fail=mean:5%` on the durations."""
    return bool(np.mean(candidate.latency_s) > 1.05 * np.mean(base.latency_s))
