"""Arithmetic of IEEE 754 as Go has it: nothing raises, a division by zero is an infinity or not a number."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping

import numpy as np

NAN, INF = math.nan, math.inf


def divide(a: float, b: float) -> float:
    """a / b; 0 / 0 is NaN."""
    if b != 0:
        return a / b
    if a == 0 or math.isnan(a):
        return NAN
    return math.copysign(INF, a) * math.copysign(1.0, b)


def modulo(a: float, b: float) -> float:
    """The remainder with the sign of `a`, as Go's math.Mod."""
    return NAN if b == 0 or math.isinf(a) else math.fmod(a, b)


def power(a: float, b: float) -> float:
    """a ^ b; too large is an infinity, a root of a negative number is NaN."""
    with np.errstate(all="ignore"):
        return float(np.float_power(a, b))


ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": divide,
    "%": modulo,
    "^": power,
    "atan2": math.atan2,
}
COMPARISON: Mapping[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}


def quantile(q: float, values: list[float]) -> float:
    """By linear interpolation between the two nearest ranks; NaN counts as the smallest. NaN of nothing."""
    if not values or math.isnan(q):
        return NAN
    if not 0 <= q <= 1:
        return -INF if q < 0 else INF
    ordered = sorted(values, key=lambda v: (not math.isnan(v), v))
    rank = q * (len(ordered) - 1)
    lower = math.floor(rank)
    weight = rank - lower
    return ordered[lower] * (1 - weight) + ordered[min(lower + 1, len(ordered) - 1)] * weight


def variance(values: list[float]) -> float:
    """Of a whole population."""
    if not all(map(math.isfinite, values)):
        return NAN
    mean = math.fsum(values) / len(values)
    return math.fsum((v - mean) ** 2 for v in values) / len(values)


def smallest(values: list[float]) -> float:
    """NaN only where there is nothing else."""
    return min((v for v in values if not math.isnan(v)), default=NAN)


def largest(values: list[float]) -> float:
    """NaN only where there is nothing else."""
    return max((v for v in values if not math.isnan(v)), default=NAN)


def total(values: list[float]) -> float:
    """Their sum; infinities of both signs are NaN."""
    return math.fsum(values) if all(map(math.isfinite, values)) else sum(values)
