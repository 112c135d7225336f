"""Reading a run record while it grows: what the live view and the abort check look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.record.frames import FrameTail
from harness.record.requests import REQUEST_DTYPE


class RequestTail:
    """Requests whose intended start lies in the last `keep_s` seconds, from segments that other processes are writing."""

    def __init__(self, directory: Path, keep_s: float) -> None:
        self._directory = directory
        self._keep_ns = round(keep_s * 1e9)
        self._tails: dict[Path, FrameTail] = {}
        self._rows: NDArray[Any] = np.zeros(0, dtype=REQUEST_DTYPE)

    def read(self, now_ns: int) -> NDArray[Any]:
        """All kept rows, the new ones included."""
        for path in sorted(self._directory.glob("*.seg")):
            tail = self._tails.setdefault(path, FrameTail(path, REQUEST_DTYPE))
            self._rows = np.concatenate([self._rows, *tail.read_new()])
        self._rows = self._rows[self._rows["intended_ns"] >= now_ns - self._keep_ns]
        return self._rows
