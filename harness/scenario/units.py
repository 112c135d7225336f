"""Quantities as people write them: durations, rates, ratios and limits (`<= 800ms`, `>= 99.5%`, `<= +25% of steady_state`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

_DURATION = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h)\s*$")
_DURATION_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_RATE = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*/\s*(s|m|min|h)\s*$")
_RATE_S = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_LIMIT = re.compile(
    r"^\s*(?P<op><=|>=|<|>|==)\s*(?P<sign>[+-])?(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>%|ms|s|m|h|/s)?"
    r"(?:\s+of\s+(?P<of>steady_state|baseline))?\s*$"
)

Unit = Literal["s", "ratio", "number", "per_s"]
Operator = Literal["<=", ">=", "<", ">", "=="]


def duration_s(text: object) -> float:
    """Seconds of `250ms`, `10s`, `2m`, `1h`. Raises ValueError that says what to write instead."""
    match = _DURATION.match(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{text!r} is no duration; write a number with its unit: 250ms, 10s, 2m or 1h")
    return float(match[1]) * _DURATION_S[match[2]]


def rate_per_s(text: object) -> float:
    """Arrivals per second of `25/s`, `600/m`. Raises ValueError that says what to write instead."""
    match = _RATE.match(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{text!r} is no rate; write a number per unit of time: 25/s or 600/m")
    return float(match[1]) / _RATE_S[match[2]]


@dataclass(frozen=True, slots=True)
class Limit:
    """A parsed limit. `value` is in base units (seconds, ratio 0..1, plain number, per second).

    With `of`, the limit is relative: `<= +25% of steady_state` holds when value <= reference * (1 + 0.25), and `value` is +0.25.
    """

    text: str
    op: Operator
    value: float
    unit: Unit
    of: Literal["steady_state", "baseline"] | None = None

    def allows(self, value: float, reference: float | None = None) -> bool:
        """Does `value` keep the limit? A relative limit needs the reference. NaN keeps none."""
        bound = self.bound(reference)
        match self.op:
            case "<=":
                return value <= bound
            case ">=":
                return value >= bound
            case "<":
                return value < bound
            case ">":
                return value > bound
            case "==":
                return value == bound

    def bound(self, reference: float | None = None) -> float:
        """The absolute bound. Raises ValueError for a relative limit without reference."""
        if self.of is None:
            return self.value
        if reference is None:
            raise ValueError(f"{self.text!r} is relative to {self.of} and needs its value")
        return reference * (1.0 + self.value)


def limit(text: object) -> Limit:
    """Parse a limit. Raises ValueError that says what to write instead."""
    if isinstance(text, int | float) and not isinstance(text, bool):
        return Limit(text=f"<= {text:g}", op="<=", value=float(text), unit="number")
    match = _LIMIT.match(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{text!r} is no limit; write an operator, a number and a unit: '<= 800ms', '>= 99.5%', '<= +25% of steady_state'")
    if bool(match["of"]) != bool(match["sign"]) or (match["of"] and match["unit"] != "%"):
        raise ValueError(
            f"{text!r}: a relative limit has a sign, a percentage and a reference: '<= +25% of steady_state'; an absolute one has no sign"
        )
    value, unit = _base(float(match["number"]), match["unit"])
    if match["sign"] == "-":
        value = -value
    return Limit(text=str(text).strip(), op=match["op"], value=value, unit=unit, of=match["of"])  # type: ignore[arg-type]  # the pattern admits no other


def _base(number: float, unit: str | None) -> tuple[float, Unit]:
    if unit == "%":
        return number / 100.0, "ratio"
    if unit == "/s":
        return number, "per_s"
    if unit is None:
        return number, "number"
    return number * _DURATION_S[unit], "s"
