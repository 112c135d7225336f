"""A disk is filled while others write to it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.faults.resource_disk import fill

PAGE = 4096


class Disk:
    """Has so much room left; of each answer, others write something before it can be used."""

    def __init__(self, room: int, writes: Iterator[int]) -> None:
        self.room = room
        self._writes = writes

    def left(self) -> int:
        told = self.room
        self.room = max(0, self.room - next(self._writes, 0))
        return told

    def allocate(self, descriptor: int, offset: int, length: int) -> None:
        if length > self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= length
        os.ftruncate(descriptor, offset + length)


@pytest.mark.parametrize("writes", [(), (PAGE,), (0, PAGE, PAGE, 3 * PAGE), (PAGE,) * 40, (10_000 * PAGE,)])
def test_what_others_write_meanwhile_leaves_no_room(writes: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(100 * PAGE, iter(writes))
    monkeypatch.setattr(os, "posix_fallocate", disk.allocate)
    with (tmp_path / "ballast").open("ab") as file:
        fill(file.fileno(), disk.left)
    assert disk.room < PAGE


def test_another_reason_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: int) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(os, "posix_fallocate", refused)
    with (tmp_path / "ballast").open("ab") as file, pytest.raises(OSError, match=os.strerror(errno.EDQUOT)):
        fill(file.fileno(), lambda: PAGE)
