"""Ingest events on disk while the cache is down: what was accepted survives a crash of this service too.

One file an event, named by a growing sequence number, written aside, synced, renamed, and the folder synced: a file that is listed is
whole. Used from one task at a time; every method blocks on the disk and belongs in a thread.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from mocks.rag.document.events import IngestEvent

_SUFFIX = ".event.json"
_REJECTED_SUFFIX = ".rejected"


class SpoolFullError(Exception):
    """The spool holds as many events as it may."""


class Spool:
    """A queue of files, first in first out. `events_max` bounds the disk it can fill."""

    def __init__(self, folder: Path, events_max: int = 20_000) -> None:
        self._folder = folder
        self._events_max = events_max
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob("*.tmp"):  # of a writer that was killed: never acknowledged to a client
            leftover.unlink()
        waiting = self.waiting()
        self._sequence = int(waiting[-1].name.removesuffix(_SUFFIX)) if waiting else 0
        self._count = len(waiting)

    def __len__(self) -> int:
        return self._count

    def waiting(self) -> list[Path]:
        """The files, oldest first."""
        return sorted(self._folder.glob(f"*{_SUFFIX}"))

    def append(self, event: IngestEvent) -> Path:
        """Returns the event's file once it is on the disk. Raises `SpoolFullError`, and `OSError` of a full or broken disk."""
        if self._count >= self._events_max:
            raise SpoolFullError(f"{self._count} events are waiting already")
        name = f"{self._sequence + 1:020d}{_SUFFIX}"
        file_path, aside = self._folder / name, self._folder / f"{name}.tmp"
        try:
            with aside.open("wb") as file:
                file.write(event.to_json())
                file.flush()
                os.fsync(file.fileno())
            aside.rename(file_path)
            self._sync_folder()
        except OSError:
            for path in (aside, file_path):
                path.unlink(missing_ok=True)
            raise
        self._sequence += 1
        self._count += 1
        return file_path

    def read(self, path: Path) -> IngestEvent:
        """The event of a file from `waiting()`. Raises `MalformedEventError`."""
        return IngestEvent.from_json(path.read_bytes())

    def remove(self, path: Path) -> None:
        """Once the event is safe elsewhere. A crash before the removal is durable sends it twice, which is harmless."""
        with suppress(FileNotFoundError):
            path.unlink()
            self._count -= 1

    def reject(self, path: Path) -> None:
        """Moves a file that is no event aside, for a person to look at, so that it does not block those behind it."""
        path.rename(path.with_name(path.name + _REJECTED_SUFFIX))
        self._count -= 1

    def _sync_folder(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
