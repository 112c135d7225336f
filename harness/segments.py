"""System V shared memory that outlives its maker.

PostgreSQL makes one small segment that tells a second server that the first still lives. A server that is killed leaves it behind, as does
one that is ended while it prepares its cluster; it is nobody's then, and would stay until the machine restarts.
"""

from __future__ import annotations

import ctypes
from collections.abc import Collection
from pathlib import Path

_TABLE = Path("/proc/sysvipc/shm")
_IPC_RMID = 0


def orphaned(makers: Collection[int]) -> list[int]:
    """Ids of segments that these processes made and that nobody has attached. Empty where the kernel has no such table."""
    try:
        head, *rows = (line.split() for line in _TABLE.read_text(encoding="ascii").splitlines())
    except (OSError, ValueError):
        return []
    column = {name: n for n, name in enumerate(head)}
    unused = (row for row in rows if row[column["nattch"]] == "0")
    return [int(row[column["shmid"]]) for row in unused if int(row[column["cpid"]]) in makers]


def release(makers: Collection[int]) -> None:
    """Remove what ended processes left; one that is not ours to remove stays."""
    found = orphaned(makers)
    if found:
        libc = ctypes.CDLL(None)
        for segment in found:
            libc.shmctl(segment, _IPC_RMID, None)
