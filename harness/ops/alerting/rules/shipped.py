"""The rules that come along: one file, for the operator and for a real Prometheus alike."""

from __future__ import annotations

from importlib.resources import files

DEFAULT = "default.yml"


def shipped_text() -> str:
    """The default rule file."""
    return files("harness.ops.alerting.rules").joinpath(DEFAULT).read_text(encoding="utf-8")
