"""A store on disk: a snapshot, and a log of every change since.

Both are frames of one change each. A change is in the log before it is made, so that a process that is killed loses nothing that it has
acknowledged; the log is handed to the kernel, not forced to the disk, so that a machine that loses power may lose the last of it. A frame
that was cut short at the end of the log is dropped on the next start. A snapshot is complete before it has its name.
"""

import fcntl
import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import orjson

from mocks.vector.collection import Change

_HEAD = struct.Struct("<III")  # length of the frame's body, its CRC-32, length of the JSON that it begins with
_CHECKSUM = struct.Struct("<I")  # the CRC-32 of those three
_FIRST_SNAPSHOT_BYTES = 16 << 20
"""A snapshot is due when the log has grown beyond this and beyond the snapshot before."""


class ArchiveError(OSError):
    """What lies in the directory cannot be used; the text says why."""


class DirectoryArchive:
    """A directory of its own, used by one process at a time: `snapshot-<n>`, `log-<n>` and `lock`."""

    def __init__(self, directory: Path, snapshot_bytes: int = _FIRST_SNAPSHOT_BYTES) -> None:
        """Raises OSError, ArchiveError where another process has it."""
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._snapshot_bytes = snapshot_bytes
        self._lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            raise ArchiveError(f"{directory} is in use by another process") from error
        self._number = self._latest()
        self._log = -1
        self._log_bytes = 0

    def restore(self) -> Iterator[Change]:
        """As in `Archive`. Raises ArchiveError where a file is damaged elsewhere than at the end of the log."""
        snapshot, log = self._path("snapshot"), self._path("log")
        if snapshot.exists():
            yield from _frames(snapshot, None)
        if log.exists():
            yield from _frames(log, os.truncate)
        self._remove_others()
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._log_bytes = os.fstat(self._log).st_size

    def append(self, change: Change) -> bool:
        """As in `Archive`."""
        frame = _encode(change)
        try:
            _write_all(self._log, frame)
        except OSError:
            os.ftruncate(self._log, self._log_bytes)  # the part that fitted must not stand before the next one
            raise
        self._log_bytes += len(frame)
        return self._log_bytes > self._snapshot_bytes

    def snapshot(self, state: Iterable[Change]) -> None:
        """As in `Archive`."""
        self._number += 1
        path, draft = self._path("snapshot"), self._directory / "draft"
        with draft.open("wb") as file:
            for change in state:
                file.write(_encode(change))
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        draft.rename(path)
        self._sync_directory()
        os.close(self._log)
        self._log = os.open(self._path("log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._log_bytes = 0
        self._snapshot_bytes = max(self._snapshot_bytes, size)
        self._remove_others()

    def close(self) -> None:
        """Let go of the directory; idempotent."""
        for descriptor in (self._log, self._lock):
            if descriptor >= 0:
                os.close(descriptor)
        self._log = self._lock = -1

    def _path(self, kind: str) -> Path:
        return self._directory / f"{kind}-{self._number:08d}"

    def _latest(self) -> int:
        numbers = [path.name.removeprefix("snapshot-") for path in self._directory.glob("snapshot-*")]
        return max((int(number) for number in numbers if number.isdecimal()), default=0)

    def _remove_others(self) -> None:
        kept = {self._path("snapshot"), self._path("log")}
        for path in [*self._directory.glob("snapshot-*"), *self._directory.glob("log-*"), *self._directory.glob("draft")]:
            if path not in kept:
                path.unlink()

    def _sync_directory(self) -> None:
        descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class _Damage(Exception):  # noqa: N818 - never leaves this module
    """A frame that cannot be read; `last`: nothing follows it."""

    def __init__(self, *, last: bool) -> None:
        super().__init__()
        self.last = last


def _encode(change: Change) -> bytes:
    sizes = [len(vector) for vector in change.vectors]
    head = orjson.dumps([change.kind, change.document, sizes], option=orjson.OPT_SERIALIZE_NUMPY)
    body = b"".join((head, *(np.ascontiguousarray(vector, "<f4").tobytes() for vector in change.vectors)))
    sealed = _HEAD.pack(len(body), zlib.crc32(body), len(head))
    return b"".join((sealed, _CHECKSUM.pack(zlib.crc32(sealed)), body))


def _decode(body: bytes, head_bytes: int) -> Change:
    kind, document, sizes = orjson.loads(body[:head_bytes])
    numbers = np.frombuffer(body, "<f4", offset=head_bytes) if len(body) > head_bytes else np.empty(0, "<f4")
    vectors, at = [], 0
    for size in sizes:
        vectors.append(numbers[at : at + size].astype(np.float32))
        at += size
    return Change(kind, document, vectors)


def _frames(path: Path, cut_short: Callable[[Path, int], None] | None) -> Iterator[Change]:
    """The changes in a file; where the last frame is not whole, `cut_short` (if any) is told where. Raises ArchiveError."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        while (at := file.tell()) < size:
            try:
                change = _frame(file, size)
            except _Damage as damage:
                if not damage.last or cut_short is None:
                    how = "restore it, or delete the directory to begin with nothing"
                    raise ArchiveError(f"{path} is damaged at byte {at}; {how}") from damage
                cut_short(path, at)
                return
            yield change


def _frame(file: BinaryIO, size: int) -> Change:
    head = file.read(_HEAD.size + _CHECKSUM.size)
    if len(head) < _HEAD.size + _CHECKSUM.size:
        raise _Damage(last=True)
    if _CHECKSUM.pack(zlib.crc32(head[: _HEAD.size])) != head[_HEAD.size :]:
        raise _Damage(last=False)
    length, checksum, head_bytes = _HEAD.unpack_from(head)
    end = file.tell() + length
    if end > size:
        raise _Damage(last=True)
    body = file.read(length)
    if zlib.crc32(body) != checksum:
        raise _Damage(last=end == size)
    return _decode(body, head_bytes)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
