"""A log of our own within bounds: put aside and compressed once it is large, the oldest removed."""

from __future__ import annotations

import gzip
import shutil
from dataclasses import dataclass
from pathlib import Path

MOST_BYTES = 16 * 1024 * 1024
KEPT = 8


@dataclass(frozen=True, slots=True)
class RotatedLog:
    """Lines are appended to `path`. Beyond `most_bytes` it becomes `path.1.gz`, that one `path.2.gz`, and so on up to `kept`.

    One writer. What is appended is in the file when `append` returns, so that a crash loses nothing.
    """

    path: Path
    most_bytes: int = MOST_BYTES
    kept: int = KEPT

    def append(self, line: str) -> None:
        """`line` without its end."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
            full = file.tell() >= self.most_bytes
        if full:
            self._rotate()

    def _rotate(self) -> None:
        """The newest is whole on disk before the log is emptied; after a crash in between, some lines are there twice and none is lost."""
        for n in range(self.kept - 1, 0, -1):
            if (older := self._aside(n)).exists():
                older.replace(self._aside(n + 1))
        part = self.path.with_name(f".{self.path.name}.1.gz.part")
        with self.path.open("rb") as source, gzip.open(part, "wb", compresslevel=1) as packed:
            shutil.copyfileobj(source, packed)
        part.replace(self._aside(1))
        self.path.unlink()

    def _aside(self, n: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{n}.gz")
