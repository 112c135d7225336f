"""What a person has allowed: lines of a file, each once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from harness.ops.recovery.controller import in_words
from harness.ops.recovery.strategies import Rung


@dataclass(slots=True)
class ApprovalFile:
    """`restart retrieval-2` on a line of its own allows that action once; a person appends it (`echo restart retrieval-2 >> FILE`)."""

    path: Path
    _used: int = field(init=False)

    def __post_init__(self) -> None:
        self._used = len(self._lines())  # what was allowed before we began was about something else

    def __call__(self, rung: Rung) -> bool:
        """Is it among the lines that were added since the last one that was used?"""
        lines = self._lines()
        wanted = in_words(rung)
        for place in range(self._used, len(lines)):
            if lines[place].strip() == wanted:
                self._used = place + 1
                return True
        return False

    def _lines(self) -> list[str]:
        try:
            return self.path.read_text(encoding="utf-8").splitlines()
        except OSError:
            return []
