"""Functions of instant vectors and scalars. Those of ranges are in `over_time`."""

from __future__ import annotations

import calendar
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import numpy as np

from harness.ops.alerting.promql.numbers import INF, NAN
from harness.ops.alerting.promql.over_time import RANGED


def _ufunc(function: Callable[[float], np.float64]) -> Callable[[float], float]:
    def apply(value: float) -> float:
        with np.errstate(all="ignore"):
            return float(function(value))

    return apply


def _round(value: float, to: float = 1.0) -> float:
    if not math.isfinite(value) or to == 0:
        return NAN if to == 0 else value
    return math.floor(value * (1 / to) + 0.5) / (1 / to)


def _clamp_max(value: float, most: float) -> float:
    """As Go's math.Min: an infinity that decides is no matter of the other number."""
    if math.isnan(value) or math.isnan(most):
        return -INF if -INF in (value, most) else NAN
    return min(value, most)


def _clamp_min(value: float, least: float) -> float:
    if math.isnan(value) or math.isnan(least):
        return INF if INF in (value, least) else NAN
    return max(value, least)


def _date(ask: Callable[[datetime], int]) -> Callable[[float], float]:
    def of(value: float) -> float:
        try:
            return float(ask(datetime.fromtimestamp(math.floor(value), tz=UTC)))
        except (ValueError, OverflowError):
            return NAN

    return of


DATES: Mapping[str, Callable[[float], float]] = {
    "minute": _date(lambda t: t.minute),
    "hour": _date(lambda t: t.hour),
    "day_of_week": _date(lambda t: t.isoweekday() % 7),
    "day_of_month": _date(lambda t: t.day),
    "days_in_month": _date(lambda t: calendar.monthrange(t.year, t.month)[1]),
    "month": _date(lambda t: t.month),
    "year": _date(lambda t: t.year),
}
"""Of seconds since 1970, in UTC; of now, where nothing is given."""

ELEMENTWISE: Mapping[str, Callable[..., float]] = {
    "abs": abs,
    "ceil": _ufunc(np.ceil),
    "floor": _ufunc(np.floor),
    "exp": _ufunc(np.exp),
    "ln": _ufunc(np.log),
    "log2": _ufunc(np.log2),
    "log10": _ufunc(np.log10),
    "sqrt": _ufunc(np.sqrt),
    "sgn": _ufunc(np.sign),
    "round": _round,
    "clamp_min": _clamp_min,
    "clamp_max": _clamp_max,
    "clamp": lambda value, least, most: _clamp_min(_clamp_max(value, most), least),
    **DATES,
}
"""Of an element's value and the scalars given beside the vector."""

SPECIAL = frozenset(
    {
        "absent",
        "absent_over_time",
        "histogram_quantile",
        "label_join",
        "label_replace",
        "scalar",
        "sort",
        "sort_desc",
        "time",
        "timestamp",
        "vector",
    }
)
FUNCTIONS = frozenset({*RANGED, *ELEMENTWISE, *SPECIAL})
