"""Values as people write them."""

from __future__ import annotations


def show(value: float | str | None, unit: str) -> str:
    """`99.36%`, `1.25s`, `12`."""
    if not isinstance(value, int | float):
        return str(value)
    match unit:
        case "ratio":
            return f"{value * 100:.4g}%"
        case "s":
            return f"{value * 1000:.4g}ms" if abs(value) < 1.0 else f"{value:.4g}s"
        case "per_s":
            return f"{value:.4g}/s"
        case _:
            return f"{value:.6g}"
