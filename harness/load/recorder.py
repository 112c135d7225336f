"""The writer of the raw request rows: small frames, often, so that a crash loses at most the last half second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from harness.load.observation import Observation
from harness.record.frames import FrameWriter
from harness.record.requests import REQUEST_DTYPE

_ROWS_PER_FRAME = 256
SEGMENT = "load.seg"


class Recorder:
    """Collects rows; writes a frame at 256 of them, and whenever `flush` is called."""

    def __init__(self, directory: Path, journeys: tuple[str, ...]) -> None:
        self._rows: list[tuple[Any, ...]] = []
        self._writer = FrameWriter(directory / SEGMENT, REQUEST_DTYPE, {"journeys": list(journeys)})

    def add(self, observation: Observation) -> None:
        """Note a request that has ended."""
        self._rows.append(observation.row())
        if len(self._rows) >= _ROWS_PER_FRAME:
            self.flush()

    def flush(self) -> None:
        """Write what was collected."""
        rows, self._rows = self._rows, []
        self._writer.append(np.array(rows, dtype=REQUEST_DTYPE))

    def close(self) -> None:
        self.flush()
        self._writer.close()
