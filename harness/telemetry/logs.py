"""Follows structured logs: JSON lines that another process is still writing."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_READ_LIMIT = 1024 * 1024
_LINE_LIMIT = 64 * 1024


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line. `fields` is its JSON object; a line that is none has only `{"message": text}` and is not `structured`."""

    fields: dict[str, Any]
    structured: bool = True


class LogTail:
    """Reads what was appended since the last call; at most one MiB at a time, so that a flood cannot take all memory.

    A file that does not exist yet is empty; one that was replaced or shortened is read from its start.
    """

    def __init__(self, path: Path, from_end: bool = False) -> None:
        self._path = path
        self._inode = 0
        self._offset = 0
        self._rest = b""
        if from_end and path.exists():
            status = path.stat()
            self._inode, self._offset = status.st_ino, status.st_size

    def read(self) -> list[LogLine]:
        """The whole lines that came, in order. A line without its end waits for the next call."""
        try:
            with self._path.open("rb") as file:
                self._follow(os.fstat(file.fileno()))
                file.seek(self._offset)
                data = file.read(_READ_LIMIT)
        except FileNotFoundError:
            return []
        self._offset += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LINE_LIMIT:  # no line at all: give up on what there is of it
            lines.append(self._rest[:_LINE_LIMIT])
            self._rest = b""
        return [line_of(line) for line in lines if line.strip()]

    def _follow(self, status: os.stat_result) -> None:
        if status.st_ino != self._inode or status.st_size < self._offset:
            self._inode, self._offset, self._rest = status.st_ino, 0, b""


def line_of(line: bytes) -> LogLine:
    """A line without its end."""
    text = line.decode("utf-8", "replace").rstrip("\r")
    try:
        fields = json.loads(text)
    except ValueError:
        fields = None
    return LogLine(fields) if isinstance(fields, dict) else LogLine({"message": text}, structured=False)
