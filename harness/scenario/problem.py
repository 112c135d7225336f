"""What is wrong with a scenario file, and where: the one error type of this package."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

KeyPath = tuple[str | int, ...]  # keys and indices from the root of the document: ("faults", 0, "target")
Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a text file; both count from 1, columns in characters."""

    line: int
    column: int


START = Position(1, 1)


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding. `message` says what is wrong, `hint` what to write instead."""

    path: str
    line: int
    column: int
    message: str
    hint: str = ""
    severity: Severity = "error"

    def __str__(self) -> str:
        level = "warning: " if self.severity == "warning" else ""
        hint = f"; {self.hint}" if self.hint else ""
        return f"{self.path}:{self.line}:{self.column}: {level}{self.message}{hint}"

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready document."""
        return {
            "path": self.path,
            "line": self.line,
            "column": self.column,
            "severity": self.severity,
            "message": self.message,
            "hint": self.hint,
        }


class ScenarioError(ValueError):
    """A scenario file that cannot be used; `problems` holds at least one."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(p) for p in problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Positions:
    """Where every key and every value of a document stands."""

    values: Mapping[KeyPath, Position]
    keys: Mapping[KeyPath, Position]

    def value(self, path: KeyPath) -> Position:
        """The value's place, or that of the nearest thing around it."""
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path, START)

    def key(self, path: KeyPath) -> Position:
        """The key's place; the value's where there is no such key."""
        return self.keys.get(path) or self.value(path)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?` for a near miss, else the list of what there is."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"write one of {', '.join(names)}" if names else "there is none to choose from"
