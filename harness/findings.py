"""What a static review or a security step has to say about a place: the common form behind terminal lines, SARIF and annotations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["error", "warning", "note"]
_WORST_FIRST: dict[Level, int] = {"error": 0, "warning": 1, "note": 2}


@dataclass(frozen=True, slots=True)
class Rule:
    """What is looked for, whatever the place. `help` says why it matters, in a sentence or two of plain text."""

    id: str  # stable and dotted
    level: Level
    what: str  # of a finding: a sentence without a full stop
    instead: str
    help: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One, at one place.

    `rule` is stable and dotted (`image.root_user`). `level` as in SARIF 2.1.0, 3.27.10. `path` is relative to what was reviewed, with
    forward slashes, or a URL for what is not a file; `line` and `column` count from 1, and are None where a place has none.
    """

    rule: str
    level: Level
    message: str
    instead: str  # what to do about it
    path: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.path, self.line, self.column) if part is not None)
        return f"{place}: {self.level}: {self.message} [{self.rule}]; {self.instead}"

    def to_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Errors first, then warnings; within a level in the order of the files."""
    return sorted(findings, key=lambda f: (_WORST_FIRST[f.level], f.path, f.line or 0, f.column or 0, f.rule, f.message))


def counted(findings: Iterable[Finding]) -> str:
    """`2 errors, 1 warning`; empty for none."""
    levels = [finding.level for finding in findings]
    return ", ".join(f"{n} {level}{'s' if n != 1 else ''}" for level in _WORST_FIRST if (n := levels.count(level)))
