"""Quantities as people write them: durations, rates, ratios and limits (`<= 800ms`, `>= 99.5%`, `<= +25% of steady_state`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

_DURATION = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h)\s*$", re.ASCII)
_DURATION_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_RATE = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*/\s*(s|m|min|h)\s*$", re.ASCII)
_RATE_S = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_LIMIT = re.compile(
    r"^\s*(?P<op><=|>=|<|>|==)\s*(?P<sign>[+-])?(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>%|ms|s|m|h|/s)?"
    r"(?:\s+of\s+(?P<of>steady_state|baseline))?\s*$",
    re.ASCII,
)

_PERCENT = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*%\s*$", re.ASCII)
_LARGEST = 1e9
LONGEST_S = 168 * 3600.0
FASTEST_PER_S = 1e6

Unit = Literal["s", "ratio", "number", "per_s"]
Operator = Literal["<=", ">=", "<", ">", "=="]


def duration_s(text: object, longest_s: float = LONGEST_S) -> float:
    """Seconds of `250ms`, `10s`, `2m`, `1h`. Raises ValueError that says what to write instead."""
    match = _DURATION.match(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{_short(text)} is no duration; write a number with its unit: 250ms, 10s, 2m or 1h")
    seconds = float(match[1]) * _DURATION_S[match[2]]
    if seconds > longest_s:
        raise ValueError(f"{_short(text)} is longer than {longest_s / 3600:g}h; write a shorter duration")
    return seconds


def positive(value: float) -> float:
    """The value itself. Raises ValueError for zero."""
    if value <= 0:
        raise ValueError("a duration of zero does nothing; write a longer one, or leave the key out")
    return value


def rate_per_s(text: object) -> float:
    """Arrivals per second of `25/s`, `600/m`. Raises ValueError that says what to write instead."""
    match = _RATE.match(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{_short(text)} is no rate; write a number per unit of time: 25/s or 600/m")
    per_s = float(match[1]) / _RATE_S[match[2]]
    if per_s > FASTEST_PER_S:
        raise ValueError(f"{_short(text)} is more than {FASTEST_PER_S:g}/s; write a lower rate")
    return per_s


def percent(text: object) -> float:
    """The ratio of `90%`, at most 1. Raises ValueError that says what to write instead."""
    match = _PERCENT.match(text) if isinstance(text, str) else None
    if match is None or float(match[1]) > 100:
        raise ValueError(f"{_short(text)} is no percentage; write 90%")
    return float(match[1]) / 100.0


@dataclass(frozen=True, slots=True)
class Limit:
    """A parsed limit. `value` is in base units (seconds, ratio 0..1, plain number, per second).

    With `of`, the limit is relative: `<= +25% of steady_state` holds when value <= reference * (1 + 0.25), and `value` is +0.25. A signed
    percentage alone, `<= +10%`, is relative to the baseline run, as in Keptn.
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
    if isinstance(text, int | float) and not isinstance(text, bool) and 0 <= text <= _LARGEST:
        return Limit(text=f"<= {text:g}", op="<=", value=float(text), unit="number")
    match = _LIMIT.match(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(
            f"{_short(text)} is no limit; write an operator, a number and a unit: '<= 800ms', '>= 99.5%', '<= +25% of steady_state'"
        )
    if (match["of"] and not match["sign"]) or (match["sign"] and match["unit"] != "%"):
        raise ValueError(
            f"{_short(text)}: a relative limit has a sign, a percentage and a reference (without one: the baseline run), an absolute one "
            "none of them; write '<= +25% of steady_state', '<= +10%' or '<= 800ms'"
        )
    value, unit = _base(float(match["number"]), match["unit"])
    if value > _LARGEST:
        raise ValueError(f"{_short(text)} is out of range; write a smaller number")
    if match["sign"] == "-":
        value = -value
    of = match["of"] or ("baseline" if match["sign"] else None)
    return Limit(text=str(text).strip(), op=match["op"], value=value, unit=unit, of=of)  # type: ignore[arg-type]  # the pattern admits no other


def _base(number: float, unit: str | None) -> tuple[float, Unit]:
    if unit == "%":
        return number / 100.0, "ratio"
    if unit == "/s":
        return number, "per_s"
    if unit is None:
        return number, "number"
    return number * _DURATION_S[unit], "s"


def percent_text(text: str) -> str:
    """A percentage as it is written. Raises ValueError as `percent` does."""
    return f"{plain(percent(text) * 100)}%"


def plain(value: float) -> str:
    """The shortest text that reads back as exactly this number, without an exponent."""
    return format(Decimal(repr(value)).normalize(), "f")


def _short(text: object) -> str:
    """How a message quotes what was written: never a page of it."""
    shown = repr(text) if isinstance(text, str) else str(text)
    return shown if len(shown) <= 60 else shown[:57] + "..."
