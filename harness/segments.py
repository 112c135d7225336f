"""System V shared memory that outlives its maker.

PostgreSQL makes one small segment that tells a second server that the first still lives. A server that is killed leaves it behind, as does
one that is ended while it prepares its cluster; it is nobody's then, and would stay until the machine restarts.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Collection
from pathlib import Path

_TABLE = Path("/proc/sysvipc/shm")
_IPC_RMID = 0
_ROUNDED_S = 2.0  # the table tells whole seconds, and the kernel's two clocks may differ by a tick


def orphaned(makers: Collection[tuple[int, float]]) -> list[int]:
    """Ids of segments that these processes (pid, and when it was created: Unix seconds) made and that nobody has attached.

    One that is older than its process was made by another, which had the same pid. Empty where the kernel has no such table.
    """
    try:
        head, *rows = (line.split() for line in _TABLE.read_text(encoding="ascii").splitlines())
    except (OSError, ValueError):
        return []
    column = {name: n for n, name in enumerate(head)}
    since_s = dict(makers)
    unused = (row for row in rows if row[column["nattch"]] == "0")
    return [
        int(row[column["shmid"]])
        for row in unused
        if int(row[column["ctime"]]) + _ROUNDED_S >= since_s.get(int(row[column["cpid"]]), math.inf)
    ]


def release(makers: Collection[tuple[int, float]]) -> None:
    """Remove what ended processes left; one that is not ours to remove stays."""
    found = orphaned(makers)
    if found:
        libc = ctypes.CDLL(None)
        for segment in found:
            libc.shmctl(segment, _IPC_RMID, None)
