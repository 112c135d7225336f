"""Values of a JSON document, checked; what is said about bad ones names the key."""

import math
from collections.abc import Mapping, Set
from typing import Any


class ProfileError(ValueError):
    """A setting is missing or cannot be used; the text names it."""


def members(value: object, key: str, known: Set[str]) -> Mapping[str, Any]:
    """An object with these keys at most. Raises ProfileError."""
    if not isinstance(value, dict):
        raise ProfileError(f"{key} must be an object, not {value!r}")
    unknown = sorted(map(str, set(value) - known))
    if unknown:
        raise ProfileError(f"unknown key in {key}: {', '.join(unknown)}; it may have {', '.join(sorted(known))}")
    return value


def number(value: object, key: str, low: float, high: float, unit: str = "") -> float:
    """A number from `low` to `high`. Raises ProfileError."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not low <= value <= high:
        raise ProfileError(f"{key} must be a number {f'of {unit} ' if unit else ''}{_span(low, high)}, not {value!r}")
    return float(value)


def whole(value: object, key: str, low: float, high: float) -> int:
    """A whole number from `low` to `high`. Raises ProfileError."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ProfileError(f"{key} must be a whole number {_span(low, high)}, not {value!r}".replace(" , ", ", "))
    return value


def text(value: object, key: str) -> str:
    """A text that is not empty. Raises ProfileError."""
    if not isinstance(value, str) or not value:
        raise ProfileError(f"{key} must be a text, not {value!r}")
    return value


def texts(value: object, key: str) -> tuple[str, ...]:
    """A list of such texts. Raises ProfileError."""
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise ProfileError(f"{key} must be a list of strings, not {value!r}")
    return tuple(value)


def objects(value: object, key: str) -> list[dict[str, Any]]:
    """A list of objects. Raises ProfileError."""
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ProfileError(f"{key} must be a list of objects, not {value!r}")
    return value


def _span(low: float, high: float) -> str:
    if math.isinf(low):
        return ""
    return f"of at least {low:g}" if math.isinf(high) else f"from {low:.16g} to {high:.16g}"
