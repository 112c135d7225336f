"""Small file systems in memory, and the end of all that are mounted below a folder. Only root may, and not everywhere."""

from __future__ import annotations

import ctypes
import os
import re
import tempfile
from functools import cache
from pathlib import Path

_MS_NOSUID, _MS_NODEV = 2, 4
_MNT_DETACH = 2
_TABLE = Path("/proc/self/mountinfo")
_ESCAPED = re.compile(r"\\([0-7]{3})")


def why_not() -> str | None:
    """None where this process may mount file systems, else the reason."""
    return _tried()


@cache
def _tried() -> str | None:
    if os.geteuid() != 0:
        return "only root may mount file systems"
    with tempfile.TemporaryDirectory(prefix="gauntlet-mount-") as folder:
        try:
            mount(Path(folder), 1 << 20)
        except OSError as error:
            return f"file systems cannot be mounted here: {error.strerror}"
        return f"{folder} cannot be unmounted" if unmount_below(Path(folder)) else None


def mount(folder: Path, size_bytes: int) -> None:
    """Mount an empty file system of that size, in memory, over a folder; owner and rights are the folder's. Raises OSError."""
    before = folder.stat()
    options = f"size={size_bytes},mode={before.st_mode & 0o7777:o},uid={before.st_uid},gid={before.st_gid}"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", _MS_NOSUID | _MS_NODEV, options.encode()) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(folder))


def mounted_below(folder: Path) -> list[Path]:
    """Where file systems are mounted at or below a folder, the innermost first. Empty where the kernel does not tell."""
    try:
        lines = _TABLE.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []
    points = (Path(_ESCAPED.sub(lambda code: chr(int(code[1], 8)), line.split()[4])) for line in lines)
    inside = folder.resolve()
    return sorted((point for point in points if point.is_relative_to(inside)), reverse=True)


def unmount_below(folder: Path) -> list[Path]:
    """Unmount them all, also where somebody still works in one; returns those that stay. Harmless where there are none."""
    libc = ctypes.CDLL(None, use_errno=True)
    for point in mounted_below(folder):
        libc.umount2(os.fsencode(point), _MNT_DETACH)  # what it could not do is seen below
    return mounted_below(folder)
