"""Values that must not reach the record: those of every variable of the environment that a step refers to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

MASK = "***"
_SHORTEST = 4  # a shorter one is no secret, and would be found in every second word
_LARGEST_BYTES = 64 << 20


class Masks:
    """Puts MASK in the place of each value."""

    def __init__(self, values: Iterable[str]) -> None:
        self._values = sorted({v for v in values if len(v) >= _SHORTEST}, key=len, reverse=True)  # of two, one may hold the other

    def text(self, text: str) -> str:
        """Without the values."""
        for value in self._values:
            text = text.replace(value, MASK)
        return text

    def data(self, value: Any) -> Any:
        """The same for nested JSON-ready data."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.data(inner) for key, inner in value.items()}
        return [self.data(inner) for inner in value] if isinstance(value, list | tuple) else value

    def files(self, folder: Path) -> list[Path]:
        """Mask what programs wrote into a folder; returns the files that hold a value and are no text, or too large: they are removed."""
        removed = []
        for path in sorted(folder.rglob("*")) if self._values else ():
            if path.is_file() and not path.is_symlink() and not self._clean(path):
                path.unlink()
                removed.append(path)
        return removed

    def _clean(self, path: Path) -> bool:
        if path.stat().st_size > _LARGEST_BYTES:
            return not self._held_by(path)
        data = path.read_bytes()
        if not any(value.encode() in data for value in self._values):
            return True
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            return False
        path.write_text(self.text(text), encoding="utf-8", newline="")
        return True

    def _held_by(self, path: Path) -> bool:
        """Piece by piece, with what a value might straddle carried over."""
        values = [value.encode() for value in self._values]
        longest = max(map(len, values))
        rest = b""
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                if any(value in rest + piece for value in values):
                    return True
                rest = (rest + piece)[-longest:]
        return False
