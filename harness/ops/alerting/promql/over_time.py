"""Functions of a range: rates of counters with Prometheus' extrapolation, trends, and statistics over time.

Rates follow extrapolatedRate in promql/functions.go of Prometheus 2: the increase between the first and the last point is extended to the
ends of the range, unless a point is missing there, and never to before a counter was zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from harness.ops.alerting.promql import numbers
from harness.ops.alerting.promql.numbers import NAN
from harness.ops.alerting.promql.series import Series

NEAR = 1.1  # mean distances of points: an end of the range that is farther away than that has no point missing by chance


@dataclass(frozen=True, slots=True)
class Span:
    """The points [first, after) of a series, and the range they were looked for in. `now_ms` is when, `time_scale` how compressed."""

    series: Series
    first: int
    after: int
    start_ms: int
    end_ms: int
    now_ms: int
    time_scale: float

    def __len__(self) -> int:
        return self.after - self.first

    @property
    def values(self) -> list[float]:
        return self.series.values[self.first : self.after]

    @property
    def t_ms(self) -> list[int]:
        return self.series.t_ms[self.first : self.after]

    @property
    def length_s(self) -> float:
        return (self.end_ms - self.start_ms) / 1000


def _extrapolated(span: Span, *, counter: bool, rate: bool = False) -> float | None:
    """The steps are in Prometheus' order, so that the last digits are its, too."""
    if len(span) < 2:
        return None
    series, first, last = span.series, span.first, span.after - 1
    grown = series.values[last] - series.values[first]
    if counter:
        grown += _lost(span)
    sampled_s = (series.t_ms[last] - series.t_ms[first]) / 1000
    before_s = (series.t_ms[first] - span.start_ms) / 1000
    behind_s = (span.end_ms - series.t_ms[last]) / 1000
    distance_s = sampled_s / (len(span) - 1)
    if counter and grown > 0 and series.values[first] >= 0:
        before_s = min(before_s, sampled_s * (series.values[first] / grown))
    near_s = NEAR * distance_s
    extended_s = sampled_s + (before_s if before_s < near_s else distance_s / 2) + (behind_s if behind_s < near_s else distance_s / 2)
    factor = extended_s / sampled_s
    return grown * (factor / span.length_s if rate else factor)


def _lost(span: Span) -> float:
    """What the counter had counted before each reset in the span."""
    lost = span.series.resets[span.after - 1]
    if math.isfinite(lost):
        return lost - span.series.resets[span.first]
    values = span.values  # an infinity was reset, here or before
    return sum(a for a, b in pairwise(values) if b < a)


def _last_two(span: Span, rate: bool) -> float | None:
    """Growth between the last two points (a reset counts from zero), by second where a rate is asked for."""
    if len(span) < 2:
        return None
    before, value = span.values[-2:]
    grown = value if rate and value < before else value - before
    apart_s = (span.t_ms[-1] - span.t_ms[-2]) / 1000
    return grown / apart_s if rate else grown


def _line(span: Span, from_ms: int) -> tuple[float, float] | None:
    """Slope by second and value at `from_ms`, by least squares."""
    if len(span) < 2:
        return None
    values = span.values
    if all(v == values[0] for v in values):
        return (NAN, NAN) if math.isinf(values[0]) else (0.0, values[0])
    if not all(map(math.isfinite, values)):
        return NAN, NAN
    times_s = [(t - from_ms) / 1000 for t in span.t_ms]
    mean_s, mean = math.fsum(times_s) / len(times_s), math.fsum(values) / len(values)
    covariance = math.fsum((t - mean_s) * (v - mean) for t, v in zip(times_s, values, strict=True))
    slope = covariance / math.fsum((t - mean_s) ** 2 for t in times_s)
    return slope, mean - slope * mean_s


def _deriv(span: Span) -> float | None:
    line = _line(span, span.t_ms[0]) if len(span) >= 2 else None
    return None if line is None else line[0]


def _predict(span: Span, ahead_s: float) -> float | None:
    """The horizon is compressed as every other duration is."""
    line = _line(span, span.now_ms)
    return None if line is None else line[0] * ahead_s / span.time_scale + line[1]


def _changes(span: Span) -> float:
    values = span.values
    return float(sum(a != b and not (math.isnan(a) and math.isnan(b)) for a, b in pairwise(values)))


def _resets(span: Span) -> float:
    values = span.values
    return float(sum(b < a for a, b in pairwise(values)))


RANGED: Mapping[str, Callable[..., float | None]] = {
    "rate": lambda span: _extrapolated(span, counter=True, rate=True),
    "increase": lambda span: _extrapolated(span, counter=True),
    "delta": lambda span: _extrapolated(span, counter=False),
    "irate": lambda span: _last_two(span, rate=True),
    "idelta": lambda span: _last_two(span, rate=False),
    "deriv": _deriv,
    "predict_linear": _predict,
    "changes": _changes,
    "resets": _resets,
    "avg_over_time": lambda span: numbers.total(span.values) / len(span),
    "min_over_time": lambda span: numbers.smallest(span.values),
    "max_over_time": lambda span: numbers.largest(span.values),
    "sum_over_time": lambda span: numbers.total(span.values),
    "count_over_time": lambda span: float(len(span)),
    "last_over_time": lambda span: span.values[-1],
    "present_over_time": lambda _: 1.0,
    "stddev_over_time": lambda span: math.sqrt(numbers.variance(span.values)),
    "stdvar_over_time": lambda span: numbers.variance(span.values),
    "quantile_over_time": lambda span, q: numbers.quantile(q, span.values),
}
"""Of the points in a range (one at least) and the numbers given beside it; None where there are too few points."""
