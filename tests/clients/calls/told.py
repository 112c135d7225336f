"""What became of calls: name → value, or the exception that was raised."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any


class Told:
    """Makes the calls of a script, one by one, and prints what became of them."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}

    def of(self, name: str, function: Callable[[], Any]) -> Any:
        """Call; note the value, or the exception as `raised` with its type, module and text."""
        try:
            value = function()
        except Exception as error:  # noqa: BLE001 (what a client raises is what is looked for)
            self.found[name] = raised(error)
            return None
        self.found[name] = value
        return value

    def print(self) -> None:
        print(json.dumps(self.found, default=str))


def raised(error: BaseException) -> dict[str, Any]:
    """An exception as JSON."""
    kind = type(error)
    code = getattr(error, "code", None)
    return {
        "raised": kind.__name__,
        "module": kind.__module__,
        "text": str(error)[:300],
        "code": code if isinstance(code, str | int) else None,  # of chromadb's it is a method
        "source": type(error.source).__name__ if hasattr(error, "source") else None,  # qdrant-client wraps what its transport raises
    }


def arguments() -> dict[str, Any]:
    """The script's JSON argument."""
    found: dict[str, Any] = json.loads(sys.argv[1])
    return found
