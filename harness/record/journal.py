"""Append-only JSON lines. One writer a file; a line is in the kernel before `append` returns, so `kill -9` loses none."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from harness.record.events import SCHEMA_VERSION, Event, Source

_LAST_NS = 2**63 - 1  # what a monotonic clock can say


def newer(path: Path, schema: int) -> str:
    """Why a file of a newer program is refused: what it says may not mean what this program would read in it."""
    return f"{path}: schema {schema} is newer than this program's {SCHEMA_VERSION}; upgrade rag-gauntlet"


class JournalError(ValueError):
    """The file is no journal, or of a newer schema."""


class Journal:
    """Writer of one events file; safe to use from several threads of the one process that owns it."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self.written = 0  # events appended by this writer: a reader can tell whether one is missing
        fresh = not path.exists() or path.stat().st_size == 0
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        if fresh:
            self._write({"schema": SCHEMA_VERSION})
        else:
            # A torn last line (the previous writer was killed) must not swallow our first one.
            os.write(self._fd, b"\n")

    def append(self, event: Event) -> Event:
        """Write one event; returns it."""
        self._write(event.to_json(), events=1)
        return event

    def close(self) -> None:
        """Flush to disk and close; idempotent."""
        with self._lock:
            if self._fd >= 0:
                os.fsync(self._fd)
                os.close(self._fd)
                self._fd = -1

    def _write(self, document: dict[str, Any], events: int = 0) -> None:
        line = json.dumps(document, separators=(",", ":"), default=str).encode() + b"\n"
        with self._lock:
            if self._fd < 0:
                raise JournalError("the journal is closed")
            view = memoryview(line)
            while view:
                view = view[os.write(self._fd, view) :]
            self.written += events


def read_journal(path: Path, damage: list[str] | None = None) -> Iterator[Event]:
    """Events in file order. A half-written or damaged line is skipped, and noted in `damage`; a missing file is an empty journal.

    Raises JournalError when the schema is newer than this program.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            document = _parse(line)
            if document is None:
                if line.strip() and damage is not None:
                    damage.append(f"{path.name}: line {number} cannot be read")
                continue
            if "schema" in document and "kind" not in document:
                if document["schema"] > SCHEMA_VERSION:
                    raise JournalError(newer(path, document["schema"]))
                continue
            yield Event.from_json(document)


class JournalTail:
    """Reads a journal that somebody is writing: each event once. A missing file is an empty journal; a damaged line is skipped."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def read_new(self) -> list[Event]:
        """The events whose lines were completed since the last call."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                whole, _, _ = file.read().rpartition(b"\n")
        except FileNotFoundError:
            return []
        self._offset += len(whole) + 1 if whole else 0
        documents = [_parse(line) for line in whole.splitlines()]
        return [Event.from_json(document) for document in documents if document is not None and "kind" in document]


def _parse(line: bytes) -> dict[str, Any] | None:
    """A schema line or an event; None for what is neither."""
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    if "schema" in document and "kind" not in document:
        return document if type(document["schema"]) is int else None
    timed = type(document.get("t_ns")) is int and 0 <= document["t_ns"] <= _LAST_NS
    return document if timed and isinstance(document.get("kind"), str) and document.get("source") in get_args(Source) else None
