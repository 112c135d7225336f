"""How serde, which reads the requests of both products, says what it has found."""

from typing import Any


def spelled(value: Any) -> str:
    """A JSON value as serde names it: `integer `3``, `string "x"`, `map`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"boolean `{str(value).lower()}`"
    if isinstance(value, int):
        return f"integer `{value}`"
    if isinstance(value, float):
        return f"floating point `{value}`"
    if isinstance(value, str):
        return f'string "{value}"'
    return "map" if isinstance(value, dict) else "sequence"
