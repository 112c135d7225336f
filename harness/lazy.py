"""Packages of the extras, imported when they are first used: what describes faults is needed where none can be injected."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class Lazy:
    """Stands for a module; its names are looked up in the real one. Raises ImportError where that is not installed."""

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._module), name)
