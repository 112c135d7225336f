"""The writer of the raw request rows: small frames, often, so that a crash loses at most the last half second."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from harness.load.observation import Observation
from harness.record.frames import FrameWriter
from harness.record.gaps import GAP, LONGEST_US
from harness.record.requests import CITATIONS_KEPT, NOTHING, REQUEST_DTYPE, SOURCES_KEPT

_ROWS_PER_FRAME = 256
SEGMENT = "load.seg"
_GAP = struct.Struct("<II")
_CODES = {"u1": "B", "i1": "b", "u2": "H", "i2": "h", "u4": "I", "i4": "i", "u8": "Q", "i8": "q"}
_REFERENCE_BYTES = 4
_NONE = NOTHING.to_bytes(_REFERENCE_BYTES, "little", signed=True)


@cache
def packing(sources: int, citations: int) -> tuple[Callable[..., bytes], bytes, bytes]:
    """What packs a row with so many of both, and what stands after its sources and after its citations.

    A row in one call, a tenth of the time that numpy takes to make an array of tuples. To pack each of seventeen references by itself, of
    which most are none, took a third longer.
    """
    codes = []
    for name in REQUEST_DTYPE.names or ():
        field = REQUEST_DTYPE[name]
        if field.subdtype is None:
            codes.append(_CODES[field.str[1:]])
        else:
            kept, there = field.subdtype[1][0], sources if name == "sources" else citations
            codes.append(f"{there}i{(kept - there) * _REFERENCE_BYTES}s")
    packer = struct.Struct("<" + "".join(codes))
    assert packer.size == REQUEST_DTYPE.itemsize
    return packer.pack, _NONE * (SOURCES_KEPT - sources), _NONE * (CITATIONS_KEPT - citations)


def packed(ended: Sequence[Observation]) -> NDArray[Any]:
    """The rows of requests that have ended."""
    parts: list[bytes] = []
    for one in ended:
        sources, citations = one.sources[:SOURCES_KEPT], one.citations[:CITATIONS_KEPT]
        pack, no_sources, no_citations = packing(len(sources), len(citations))
        parts.append(pack(*one.row(), *sources, no_sources, *citations, no_citations, one.side))
    return np.frombuffer(b"".join(parts), dtype=REQUEST_DTYPE)


class RowWriter(Protocol):
    """Where frames of rows go."""

    def append(self, rows: NDArray[Any]) -> None: ...

    def close(self) -> None: ...


class JourneyRows(RowWriter, Protocol):
    """The same for rows of requests, whose numbers of journeys have a meaning."""

    def rename(self, journeys: tuple[str, ...]) -> None:
        """From now on these are the journeys; they begin with those that there were."""
        ...


class Segments:
    """Rows of one writer in one segment, and in a further one whenever there are more journeys: the last list holds for all."""

    def __init__(self, directory: Path, name: str, journeys: tuple[str, ...], **more: Any) -> None:
        """`more` is said in the header."""
        self._directory = directory
        self._name = name
        self._more = more
        self._further = 0
        self._writer = self._open(name, journeys)

    def append(self, rows: NDArray[Any]) -> None:
        self._writer.append(rows)

    def rename(self, journeys: tuple[str, ...]) -> None:
        self._writer.close()
        self._further += 1
        self._writer = self._open(f"{self._name.removesuffix('.seg')}_{self._further:03d}.seg", journeys)  # sorts after the ones before

    def close(self) -> None:
        self._writer.close()

    def _open(self, name: str, journeys: tuple[str, ...]) -> FrameWriter:
        return FrameWriter(self._directory / name, REQUEST_DTYPE, {"journeys": list(journeys), **self._more})


class GapFile:
    """The file of gaps, made with the first one."""

    def __init__(self, directory: Path, name: str = SEGMENT) -> None:
        self._file = directory / name
        self._writer: FrameWriter | None = None

    def append(self, rows: NDArray[Any]) -> None:
        if self._writer is None:
            self._file.parent.mkdir(exist_ok=True)
            self._writer = FrameWriter(self._file, GAP, {})
        self._writer.append(rows)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


class Recorder:
    """Collects requests; writes a frame at 256 of them, and whenever `flush` is called.

    They are packed all at once: one by one, between two requests, each takes five times as long, for nothing that it needs is in the
    processor's caches.
    """

    def __init__(
        self, directory: Path, journeys: tuple[str, ...], writer: JourneyRows | None = None, gap_writer: RowWriter | None = None
    ) -> None:
        """`writer` takes the place of a segment under `directory`. Without a `gap_writer`, gaps between tokens are not kept."""
        self._gap_writer = gap_writer
        self._ended: list[Observation] = []
        self._count: Callable[[NDArray[Any]], None] = lambda _rows: None
        self._writer: JourneyRows = writer or Segments(directory, SEGMENT, journeys)

    def show(self, count: Callable[[NDArray[Any]], None]) -> None:
        """Call `count` with the rows of each frame that was written."""
        self._count = count

    def rename(self, journeys: tuple[str, ...]) -> None:
        """From now on these are the journeys; they begin with those that there were."""
        self.flush()
        self._writer.rename(journeys)

    def add(self, observation: Observation) -> None:
        """Note a request that has ended; nothing of it changes any more."""
        self._ended.append(observation)
        if len(self._ended) >= _ROWS_PER_FRAME:
            self.flush()

    def flush(self) -> None:
        """Write what was collected."""
        ended, self._ended = self._ended, []
        if not ended:
            return
        self._keep_gaps(ended)
        rows = packed(ended)
        self._writer.append(rows)
        self._count(rows)

    def _keep_gaps(self, ended: list[Observation]) -> None:
        if self._gap_writer is None:
            return
        gaps = [_GAP.pack(one.seq, min(gap_ns // 1000, LONGEST_US)) for one in ended for gap_ns in one.gaps_ns]
        if gaps:
            self._gap_writer.append(np.frombuffer(b"".join(gaps), dtype=GAP))

    def close(self) -> None:
        self.flush()
        self._writer.close()
        if self._gap_writer is not None:
            self._gap_writer.close()
