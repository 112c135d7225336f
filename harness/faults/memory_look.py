"""What the kernel says of the memory of an instance and of what runs beside it: what a monitor of containers shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness import cgroups
from harness.faults.base import FaultError

_KEYS = {1: ("memory.usage_in_bytes", "cache"), 2: ("memory.current", "file")}


@dataclass(frozen=True, slots=True)
class Memory:
    """Of one control group. `held` cannot be taken back from it; what the kernel caches for it can."""

    held_bytes: int


def memory_of(pid: int) -> Memory:
    """Of the control group that a process is in. Raises FaultError where there is none to be seen."""
    try:
        version, folder = cgroups.folder_of(pid, "memory")
        usage_file, cached = _KEYS[version]
        usage = int((folder / usage_file).read_text(encoding="ascii"))
        stat = _stat(folder / "memory.stat")
    except OSError as error:
        raise FaultError(f"the memory of process {pid}: {error}") from error
    return Memory(usage - (stat[cached] - stat["shmem"]))


def kills() -> int:
    """How many processes of this machine the kernel has killed for memory since it started. Raises FaultError where it does not count."""
    try:
        return _stat(Path("/proc/vmstat"))["oom_kill"]
    except (OSError, KeyError) as error:
        raise FaultError(f"the kernel does not count its kills: {error}") from error


def _stat(file: Path) -> Mapping[str, int]:
    return {name: int(value) for name, value in map(str.split, file.read_text(encoding="ascii").splitlines())}
