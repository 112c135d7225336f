"""Small file systems: mounted, bounded, and gone with all that lies below a folder."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import mounts
from harness.faults.cleanup import remove_directory
from harness.record.clock import SystemClock

MINE = pytest.mark.skipif(mounts.why_not() is not None, reason=str(mounts.why_not()))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "with a blank"
    place.mkdir(mode=0o711)
    yield place
    assert mounts.unmount_below(tmp_path) == []


@MINE
def test_it_is_as_large_as_asked_and_belongs_to_whom_the_folder_does(folder: Path) -> None:
    os.chown(folder, 65534, 65534)
    mounts.mount(folder, 1 << 20)
    about = folder.stat()
    assert (about.st_uid, about.st_gid, about.st_mode & 0o777) == (65534, 65534, 0o711)
    with pytest.raises(OSError) as refused:
        (folder / "large").write_bytes(bytes(2 << 20))
    assert refused.value.errno == errno.ENOSPC


@MINE
def test_a_directory_is_removed_with_what_is_mounted_in_it_and_in_use(folder: Path) -> None:
    mounts.mount(folder, 1 << 20)
    inner = folder / "inner"
    inner.mkdir()
    mounts.mount(inner, 1 << 20)
    assert mounts.mounted_below(folder.parent) == [inner, folder]
    with (inner / "open").open("w"):
        assert remove_directory(folder, SystemClock())
    assert not folder.exists() and mounts.mounted_below(folder.parent) == []


def test_others_than_root_are_told_so() -> None:
    if os.geteuid() != 0:
        assert mounts.why_not() == "only root may mount file systems"
        return
    script = "import os; from harness import mounts; os.setuid(65534); print(mounts.why_not())"
    root = str(Path(mounts.__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout == "only root may mount file systems\n"


def test_nothing_is_unmounted_where_nothing_is_mounted(tmp_path: Path) -> None:
    assert mounts.unmount_below(tmp_path) == mounts.unmount_below(tmp_path / "none") == []
