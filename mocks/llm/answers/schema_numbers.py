"""Numbers within the limits of a JSON Schema."""

import math
from collections.abc import Mapping
from typing import Any

from mocks.llm.answers.schema_keywords import EXACT, SchemaError, number_of


class _Limit:
    """One end of a range of numbers."""

    def __init__(self, value: float, *, excluded: bool) -> None:
        self.value = value
        self.excluded = excluded


def numeric(node: Mapping[str, Any], base: int, number: int, *, whole: bool) -> float:
    """A number that obeys the schema, chosen by `base`; different ones for different `number`s (items of an array). Raises SchemaError."""
    low, high = _limit(node, "minimum", "exclusiveMinimum", 1), _limit(node, "maximum", "exclusiveMaximum", -1)
    step = number_of(node, "multipleOf", 1.0 if whole else 0.0)
    if step < 0 or (whole and step and not step.is_integer() and not (1 / step).is_integer()):
        raise SchemaError(f"this model writes no multiples of {step}.")
    if whole or step:
        return _multiple(low, high, max(1.0, step) if whole else step, base, number, whole=whole)
    if low is None and high is None:
        return float(1 + base % 10 + number)
    bottom = low.value if low is not None else high.value - 10  # type: ignore[union-attr]  # one of the two is there
    top = high.value if high is not None else bottom + 10
    if bottom > top or (bottom == top and ((low is not None and low.excluded) or (high is not None and high.excluded))):
        raise SchemaError(f"no number is from {bottom} to {top}.")
    return bottom if bottom == top else bottom + (top - bottom) * (number + 1) / (number + 2)


def _multiple(low: _Limit | None, high: _Limit | None, step: float, base: int, number: int, *, whole: bool) -> float:
    first = _first_multiple(low, step) if low is not None else None
    last = _last_multiple(high, step) if high is not None else None
    if first is None:
        first = 1 if last is None else last - 9
    last = first + 9 if last is None else last
    if first > last or max(abs(first), abs(last)) * step > EXACT:
        raise SchemaError("no number that this model can write is within the limits.")
    choices = last - first + 1
    value = (first + (base % min(10, choices) + number) % choices) * step
    return round(value) if whole else round(value, 12)


def _limit(node: Mapping[str, Any], inclusive: str, exclusive: str, side: int) -> _Limit | None:
    """The narrower of the two limits of a side."""
    found = [
        _Limit(number_of(node, name, 0.0), excluded=name == exclusive) for name in (inclusive, exclusive) if node.get(name) is not None
    ]
    return max(found, key=lambda one: (side * one.value, one.excluded), default=None)


def _first_multiple(limit: _Limit, step: float) -> int:
    first = math.ceil(limit.value / step)
    return first + 1 if limit.excluded and first * step == limit.value else first


def _last_multiple(limit: _Limit, step: float) -> int:
    last = math.floor(limit.value / step)
    return last - 1 if limit.excluded and last * step == limit.value else last
