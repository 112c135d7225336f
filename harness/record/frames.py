"""Framed numpy segments: structured arrays appended while running; a crash loses at most the last frame.

File: `GFR1`, uint32 length of a JSON header, the header (`{"schema", "dtype", **meta}`), then frames. Frame: `FRAM`, uint32 rows,
uint32 CRC-32 of the body, body (rows x itemsize bytes, little-endian).
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from harness.record.events import SCHEMA_VERSION
from harness.record.journal import newer

_MAGIC = b"GFR1"
_FRAME = b"FRAM"
_FRAME_HEAD = struct.Struct("<4sII")


class FrameError(ValueError):
    """The file is no segment, or not the one that it was."""


class NewerSchemaError(FrameError):
    """The file was written by a newer program."""


class FrameWriter:
    """Appends structured arrays of one dtype to one file. Not for several threads."""

    def __init__(self, path: Path, dtype: np.dtype[Any], meta: Mapping[str, Any]) -> None:
        self._dtype = dtype
        header = json.dumps({"schema": SCHEMA_VERSION, "dtype": _describe(dtype), **meta}).encode()
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        _write_all(self._fd, _MAGIC + struct.pack("<I", len(header)) + header)

    def append(self, rows: NDArray[Any]) -> None:
        """Write one frame; an empty array writes nothing."""
        if len(rows) == 0:
            return
        body = np.ascontiguousarray(rows, dtype=self._dtype).tobytes()
        _write_all(self._fd, _FRAME_HEAD.pack(_FRAME, len(rows), zlib.crc32(body)) + body)

    def close(self) -> None:
        """Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def read_frames(path: Path, into: np.dtype[Any] | None = None) -> Iterator[NDArray[Any]]:
    """The whole frames of a segment, in order; stops at the first torn or damaged one.

    With `into`, rows are returned in that dtype: fields are matched by name, and one that the file lacks is zero.
    """
    for _, rows in FrameScan(path).blocks():
        yield rows if into is None or into == rows.dtype else convert(rows, into)


class FrameScan:
    """One pass over a segment. The header is read at once; raises FrameError for what is none, or of a newer schema."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            self.header, self._start = _header(file.read(1 << 20), path)
        self.dtype: np.dtype[Any] = np.dtype([tuple(f) for f in _tuples(self.header["dtype"])])
        self.torn = False
        """After `blocks`: bytes follow the last whole frame, so the writer was cut off."""

    def blocks(self, most: int = 1 << 20) -> Iterator[tuple[int, NDArray[Any]]]:
        """(offset in the file, rows) of all that lies in whole frames, in order: a frame each, a longer one in blocks of `most` rows."""
        with self.path.open("rb", buffering=1 << 20) as file:
            file.seek(self._start)
            end = self._start
            while (frame := self._whole(file, most)) is not None:
                for offset, rows in frame:
                    yield offset, rows
                    end = offset + rows.nbytes
                file.seek(end)  # a long frame was read ahead of its blocks
            self.torn = self.path.stat().st_size > end

    def _whole(self, file: BinaryIO, most: int) -> Iterator[tuple[int, NDArray[Any]]] | None:
        """The blocks of the next frame, once all of it is proved; None at the end."""
        head = file.read(_FRAME_HEAD.size)
        if len(head) < _FRAME_HEAD.size:
            return None
        magic, count, crc = _FRAME_HEAD.unpack(head)
        if magic != _FRAME:
            return None
        start, found = file.tell(), 0
        blocks = [(start + n * self.dtype.itemsize, min(most, count - n)) for n in range(0, count, most)]
        for _, rows in blocks:
            body = file.read(rows * self.dtype.itemsize)
            if len(body) < rows * self.dtype.itemsize:
                return None
            found = zlib.crc32(body, found)
        if found != crc:
            return None
        if len(blocks) == 1:
            return iter([(start, np.frombuffer(body, dtype=self.dtype))])
        return self._again(file, blocks)

    def _again(self, file: BinaryIO, blocks: Iterable[tuple[int, int]]) -> Iterator[tuple[int, NDArray[Any]]]:
        for offset, rows in blocks:
            file.seek(offset)
            yield offset, np.frombuffer(file.read(rows * self.dtype.itemsize), dtype=self.dtype)


class FrameTail:
    """Reads the frames that were appended since the last call, while another process writes the segment."""

    def __init__(self, path: Path, into: np.dtype[Any]) -> None:
        self._path = path
        self._into = into
        self._offset = 0
        self._dtype: np.dtype[Any] | None = None

    def read_new(self) -> list[NDArray[Any]]:
        """New whole frames; a frame that is still being written is left for the next call."""
        with self._path.open("rb") as file:
            if self._dtype is None:
                try:
                    header, self._offset = _header(file.read(1 << 20), self._path)
                except FrameError:
                    return []  # the header is not whole yet
                self._dtype = np.dtype([tuple(f) for f in _tuples(header["dtype"])])
            file.seek(self._offset)
            frames = []
            while (frame := _next_frame(file, self._dtype)) is not None:
                self._offset = file.tell()
                frames.append(frame if self._dtype == self._into else convert(frame, self._into))
            return frames


def _next_frame(file: Any, dtype: np.dtype[Any]) -> NDArray[Any] | None:
    head = file.read(_FRAME_HEAD.size)
    if len(head) < _FRAME_HEAD.size:
        return None
    magic, rows, crc = _FRAME_HEAD.unpack(head)
    if magic != _FRAME:
        return None
    body = file.read(rows * dtype.itemsize)
    if len(body) < rows * dtype.itemsize or zlib.crc32(body) != crc:
        return None
    return np.frombuffer(body, dtype=dtype)


def _header(data: bytes, path: Path) -> tuple[dict[str, Any], int]:
    if data[:4] != _MAGIC or len(data) < 8:
        raise FrameError(f"{path}: not a segment file")
    (length,) = struct.unpack("<I", data[4:8])
    try:
        header = json.loads(data[8 : 8 + length])
    except ValueError as error:
        raise FrameError(f"{path}: damaged header: {error}") from error
    if not isinstance(header, dict) or not {"schema", "dtype"} <= header.keys():
        raise FrameError(f"{path}: the header is no segment header")
    if header["schema"] > SCHEMA_VERSION:
        raise NewerSchemaError(newer(path, header["schema"]))
    return header, 8 + length


def _describe(dtype: np.dtype[Any]) -> list[list[Any]]:
    return [[name, *_field(dtype.fields[name][0])] for name in dtype.names] if dtype.names and dtype.fields else []


def _field(dtype: np.dtype[Any]) -> list[Any]:
    if dtype.subdtype is None:
        return [dtype.str]
    base, shape = dtype.subdtype
    return [base.str, list(shape)]


def _tuples(fields: list[list[Any]]) -> list[tuple[Any, ...]]:
    return [(f[0], f[1]) if len(f) == 2 else (f[0], f[1], tuple(f[2])) for f in fields]


def joined(parts: Sequence[NDArray[Any]], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Several arrays of rows of one dtype as one.

    As opaque bytes: numpy would compare them column by column, which takes longer than the copy.
    """
    opaque = np.dtype((np.void, dtype.itemsize))
    return np.concatenate([np.zeros(0, dtype=opaque), *(part.view(opaque) for part in parts)]).view(dtype)


def convert(frame: NDArray[Any], into: np.dtype[Any]) -> NDArray[Any]:
    """Rows in another dtype: fields are matched by name, and one that the rows lack is zero."""
    rows = np.zeros(len(frame), dtype=into)
    for name in set(into.names or ()) & set(frame.dtype.names or ()):
        rows[name] = frame[name]
    return rows


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
