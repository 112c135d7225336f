"""Inter-token latencies: every gap between two content chunks of a streamed answer, in the order in which they came.

They are kept beside the requests, in `gaps/*.seg`: an answer has one row among the requests, and as many rows here as it has gaps. Evenly
spaced reconstruction from the first and the last chunk would hide every stutter.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.record.frames import FrameError, FrameScan, NewerSchemaError, read_frames
from harness.record.progress import UNTOLD, Progress

GAP = np.dtype([("seq", "<u4"), ("gap_us", "<u4")])  # of the request with that `seq`
LONGEST_US = 2**32 - 1


@dataclass(frozen=True)
class Gaps:
    """Those of one run. Nothing is read before it is asked for: few objectives want them, and there may be fifty for each request."""

    files: tuple[Path, ...] = ()
    by_hand: NDArray[Any] | None = None

    @classmethod
    def find(cls, directory: Path, damage: list[str], progress: Progress = UNTOLD) -> Gaps:
        """Those under `directory`. Files that cannot be read are left out; what is wrong with any is noted in `damage`."""
        files = []
        for file in sorted(directory.glob("*.seg")):
            try:
                scan = FrameScan(file)
                if scan.dtype != GAP:
                    raise FrameError(f"{file}: holds no gaps")
                for _, rows in scan.blocks():
                    progress.advance(rows.nbytes)
                files.append(file)
                if scan.torn:
                    damage.append(f"{directory.name}/{file.name}: the last frame is torn")
            except (FrameError, NewerSchemaError, KeyError, TypeError, ValueError, IndexError) as error:
                damage.append(f"{directory.name}/{file.name}: {str(error).removeprefix(f'{file}: ')}")
        return cls(tuple(files))

    @cached_property
    def rows(self) -> NDArray[Any]:
        """All of them, by request; within one, in order."""
        frames = [frame for file in self.files for frame in read_frames(file, GAP)]
        found = np.concatenate(frames) if frames else np.zeros(0, dtype=GAP)
        rows = found if self.by_hand is None else self.by_hand
        return rows[np.argsort(rows["seq"], kind="stable")]
