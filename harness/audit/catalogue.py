"""How rules are written down: a row each."""

from __future__ import annotations

from harness.findings import Level, Rule


def rules(prefix: str, *rows: tuple[str, Level, str, str, str]) -> dict[str, Rule]:
    """By id; a row is (name, level, what, instead, help)."""
    return {f"{prefix}.{name}": Rule(f"{prefix}.{name}", level, what, instead, why) for name, level, what, instead, why in rows}
