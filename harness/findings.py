"""What a static review or a security step has to say about a place: the common form behind terminal lines, SARIF and annotations."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["error", "warning", "note"]


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
