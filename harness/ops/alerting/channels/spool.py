"""Messages on disk until they are received: a process that dies loses none, and says an unfinished one again.

One file a message, written beside and renamed, so that there is no half of one. What a receiver refuses for good goes to `refused/`, what
cannot be read to `broken/`: kept for a person, and out of the way.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

SUFFIX = ".json"
ERRORS_KEPT = 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One message to one channel. Times are seconds since 1970; `errors` are the last failures, oldest first."""

    name: str
    channel: str
    body: Mapping[str, Any]
    written_s: float
    attempts: int = 0
    due_s: float = 0.0
    errors: tuple[str, ...] = ()


class Spool:
    """A directory of entries, in order. One process at a time; its methods may be called by several threads for different channels."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        for place in (directory, directory / "refused", directory / "broken"):
            place.mkdir(parents=True, exist_ok=True)
        names = [path.name for place in (directory, directory / "refused") for path in place.glob(f"*{SUFFIX}")]
        self._next = 1 + max((int(n.partition("-")[0]) for n in names if n.partition("-")[0].isdecimal()), default=0)
        for left in directory.glob("*.part"):  # written by a process that died before it was whole: it was never promised
            left.unlink()

    def put(self, channel: str, body: Mapping[str, Any], now_s: float) -> Entry:
        """On disk when this returns."""
        entry = Entry(f"{self._next:09d}-{channel}", channel, body, now_s)
        self._next += 1
        self._write(entry)
        return entry

    def waiting(self, channel: str) -> list[Entry]:
        """Oldest first."""
        paths = sorted(self._directory.glob(f"*-{channel}{SUFFIX}"))
        return [entry for path in paths if (entry := self._read(path)) is not None and entry.channel == channel]

    def failed(self, entry: Entry, error: str, due_s: float) -> Entry:
        """Noted, and to be tried again at `due_s`."""
        later = replace(entry, attempts=entry.attempts + 1, due_s=due_s, errors=(*entry.errors, error)[-ERRORS_KEPT:])
        self._write(later)
        return later

    def refused(self, entry: Entry, error: str) -> None:
        """For good: kept apart, with the reason."""
        self.failed(entry, error, entry.due_s)
        (self._directory / f"{entry.name}{SUFFIX}").replace(self._directory / "refused" / f"{entry.name}{SUFFIX}")

    def done(self, entry: Entry) -> None:
        """It was received."""
        (self._directory / f"{entry.name}{SUFFIX}").unlink(missing_ok=True)

    def _write(self, entry: Entry) -> None:
        path = self._directory / f"{entry.name}{SUFFIX}"
        part = path.with_suffix(".part")
        with part.open("w", encoding="utf-8") as file:
            json.dump(asdict(entry), file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)

    def _read(self, path: Path) -> Entry | None:
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            return Entry(**{**document, "errors": tuple(document["errors"])})
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError):
            path.replace(self._directory / "broken" / path.name)
            return None
