"""Quantiles of histograms with cumulative buckets (promql/quantile.go of Prometheus 2: bucketQuantile)."""

from __future__ import annotations

import math
from collections import defaultdict
from itertools import accumulate

from harness.ops.alerting.promql.numbers import INF, NAN
from harness.ops.alerting.promql.series import Labels
from harness.ops.alerting.promql.syntax import NAME
from harness.ops.alerting.promql.vectors import Element, Vector, drop


def histogram_quantile(q: float, vector: Vector) -> Vector:
    """One element for each histogram; what has no number as `le` is left out."""
    histograms: dict[Labels, dict[float, float]] = defaultdict(lambda: defaultdict(float))
    for labels, value in vector:
        try:
            bound = float(dict(labels).get("le", ""))
        except ValueError:
            continue
        histograms[drop(labels, (NAME, "le"))][bound] += value
    return [Element(labels, _quantile(q, buckets)) for labels, buckets in histograms.items()]


def _grown(before: float, count: float) -> float:
    return before if count < before else count


def _quantile(q: float, buckets: dict[float, float]) -> float:
    """Linear within a bucket; the last one answers its lower bound. Counts that shrink (scraped at two moments) are made to grow."""
    if math.isnan(q) or not 0 <= q <= 1:
        return NAN if math.isnan(q) else math.copysign(INF, q - 0.5)
    bounds = sorted(buckets)
    counts = list(accumulate((buckets[b] for b in bounds), _grown))
    if bounds[-1] != INF or len(bounds) < 2 or not counts[-1]:
        return NAN
    rank = q * counts[-1]
    n = next((n for n, count in enumerate(counts[:-1]) if count >= rank), len(bounds) - 1)
    if n == len(bounds) - 1:
        return bounds[-2]
    if n == 0 and bounds[0] <= 0:
        return bounds[0]
    lower, below = (bounds[n - 1], counts[n - 1]) if n else (0.0, 0.0)
    inside = counts[n] - below
    return lower + (bounds[n] - lower) * ((rank - below) / inside if inside else NAN)
