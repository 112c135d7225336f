"""Request segments on disk, read block by block.

One pass over a file proves its frames whole and notes, of each block of them, where it lies and which stretch of intended starts it
holds. After that a phase is read without the rest of the run, as often as somebody asks, and nothing of it stays in memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.record import pieces
from harness.record.frames import FrameError, FrameScan, convert
from harness.record.pieces import Interval, Rows, inside
from harness.record.progress import UNTOLD, Progress
from harness.record.requests import REQUEST_DTYPE

_GAP_BYTES = 4096  # a frame's head is 12
_BLOCK = np.dtype([("offset", "<i8"), ("rows", "<i8"), ("first_ns", "<i8"), ("last_ns", "<i8")])


@dataclass(frozen=True, slots=True)
class Segment:
    """The whole frames of one file. `journeys` gives the record's number for each of its own 256; None where they are the same."""

    path: Path
    dtype: np.dtype[Any]
    blocks: NDArray[Any]  # rows of `_BLOCK`, in file order
    journeys: NDArray[np.uint8] | None = None

    @classmethod
    def find(cls, scan: FrameScan, journeys: NDArray[np.uint8] | None, progress: Progress = UNTOLD) -> Segment:
        """Read the file once."""
        blocks = []
        for offset, rows in scan.blocks(pieces.PIECE_ROWS):
            intended = rows["intended_ns"]
            blocks.append((offset, len(rows), intended.min(), intended.max()))
            progress.advance(rows.nbytes)
        return cls(scan.path, scan.dtype, np.array(blocks, dtype=_BLOCK), journeys)

    def touched(self, interval: Interval) -> NDArray[Any]:
        """The blocks that hold anything of an interval."""
        if interval is None:
            return self.blocks
        return self.blocks[(self.blocks["last_ns"] >= interval[0]) & (self.blocks["first_ns"] < interval[1])]

    def read(self, blocks: NDArray[Any], interval: Interval) -> Iterator[Rows]:
        """What some blocks hold of an interval, at most `PIECE_ROWS` at a time. Raises FrameError when the file is not what it was."""
        if not len(blocks):
            return
        fd = os.open(self.path, os.O_RDONLY)
        try:
            for batch in self._batches(blocks):
                rows = self._rows(fd, batch)
                yield rows if interval is None or _within(batch, interval).all() else rows[inside(rows, interval)]
        finally:
            os.close(fd)

    def _batches(self, blocks: NDArray[Any]) -> Iterator[NDArray[Any]]:
        """Neighbours that together hold at most a piece; what lies between two that are no neighbours is not read."""
        rows, offsets = blocks["rows"].tolist(), blocks["offset"].tolist()
        first, held = 0, 0
        for n, count in enumerate(rows):
            far = n > first and offsets[n] - offsets[n - 1] - rows[n - 1] * self.dtype.itemsize > _GAP_BYTES
            if n > first and (far or held + count > pieces.PIECE_ROWS):
                yield blocks[first:n]
                first, held = n, 0
            held += count
        yield blocks[first:]

    def _rows(self, fd: int, batch: NDArray[Any]) -> Rows:
        start = int(batch["offset"][0])
        end = int(batch["offset"][-1]) + int(batch["rows"][-1]) * self.dtype.itemsize
        data = os.pread(fd, end - start, start)
        if len(data) < end - start:
            raise FrameError(f"{self.path}: changed while it was read")
        view, width = memoryview(data), self.dtype.itemsize
        places = zip(batch["offset"].tolist(), batch["rows"].tolist(), strict=True)
        parts = [view[offset - start : offset - start + rows * width] for offset, rows in places]
        rows = np.frombuffer(parts[0] if len(parts) == 1 else b"".join(parts), dtype=self.dtype)  # the heads of frames lie between
        if self.dtype != REQUEST_DTYPE:
            rows = convert(rows, REQUEST_DTYPE)
        return rows if self.journeys is None else _renumbered(rows, self.journeys)


@dataclass(frozen=True, slots=True)
class OnDisk:
    """A `Source` over the segments of a record, in the order of their names."""

    segments: Sequence[Segment]
    _counted: dict[tuple[int, int], int] = field(default_factory=dict, repr=False, compare=False)

    def count(self, interval: Interval) -> int:
        if interval is None:
            return sum(int(segment.blocks["rows"].sum()) for segment in self.segments)
        if interval not in self._counted:
            self._counted[interval] = sum(_count(segment, interval) for segment in self.segments)
        return self._counted[interval]

    def pieces(self, interval: Interval) -> Iterator[Rows]:
        for segment in self.segments:
            yield from segment.read(segment.touched(interval), interval)

    def sample(self, blocks: int) -> OnDisk:
        """About so many blocks, spread evenly over each segment."""
        each = max(1, blocks // max(1, len(self.segments)))
        return OnDisk([replace(segment, blocks=segment.blocks[:: max(1, len(segment.blocks) // each)]) for segment in self.segments])


def _within(blocks: NDArray[Any], interval: tuple[int, int]) -> NDArray[np.bool_]:
    mask: NDArray[np.bool_] = (blocks["first_ns"] >= interval[0]) & (blocks["last_ns"] < interval[1])
    return mask


def _count(segment: Segment, interval: tuple[int, int]) -> int:
    """Only blocks that hold something else as well must be read."""
    blocks = segment.touched(interval)
    whole = _within(blocks, interval)
    return int(blocks["rows"][whole].sum()) + sum(len(rows) for rows in segment.read(blocks[~whole], interval))


def _renumbered(rows: Rows, numbers: NDArray[np.uint8]) -> Rows:
    changed = rows.copy()
    changed["journey"] = numbers[rows["journey"]]
    return changed
