"""Reading a run record while it grows: what the live view and the abort check look at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.record.frames import FrameTail, joined
from harness.record.pieces import Rows
from harness.record.requests import REQUEST_DTYPE


class RequestTail:
    """Requests that ended in the last `keep_s` seconds, from segments that other processes are writing."""

    def __init__(self, directory: Path, keep_s: float) -> None:
        self._directory = directory
        self._keep_ns = round(keep_s * 1e9)
        self._tails: dict[Path, FrameTail] = {}
        self._parts: list[tuple[int, Rows]] = []  # frames, each with the last end in it

    def read(self, now_ns: int) -> Rows:
        """All kept rows, the new ones included."""
        for path in sorted(self._directory.glob("*.seg")):
            tail = self._tails.setdefault(path, FrameTail(path, REQUEST_DTYPE))
            self._parts += [(int(_ended_ns(rows).max()), rows) for rows in tail.read_new()]
        self._parts = [(ended_ns, rows) for ended_ns, rows in self._parts if ended_ns >= now_ns - self._keep_ns]
        rows = joined([rows for _, rows in self._parts], REQUEST_DTYPE)
        kept: Rows = rows[_ended_ns(rows) >= now_ns - self._keep_ns]
        return kept


def _ended_ns(rows: Rows) -> NDArray[np.int64]:
    """What has no end was never sent: it was over when it was due."""
    return np.where(rows["end_ns"] > 0, rows["end_ns"], rows["intended_ns"])
