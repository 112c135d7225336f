"""What a control group used and may use, version 1 or 2: that of a container, or of a service with limits of its own. Only read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
_UNLIMITED = 1 << 60  # version 1 writes a number near 2**63 where there is no limit


@dataclass(frozen=True, slots=True)
class Usage:
    """None: the kernel does not tell, or there is no limit. `oom_kills` and the seconds are counted since the group was made."""

    cpu_s: float | None = None
    throttled_s: float | None = None
    cpus: float | None = None
    memory_bytes: int | None = None
    memory_limit_bytes: int | None = None
    oom_kills: int | None = None
    processes: int | None = None
    read_bytes: int | None = None
    written_bytes: int | None = None


Places = Mapping[str, str]
"""Path below the hierarchy, as /proc/PID/cgroup and `docker inspect` name it, by controller; version 2 has one, without a name."""
_CONTROLLERS = ("cpu", "cpuacct", "memory", "pids", "blkio")
UNIFIED = ""


def everywhere(path: str) -> Places:
    """The same path for every controller: how container engines lay groups out."""
    return dict.fromkeys((UNIFIED, *_CONTROLLERS), path)


def usage(places: Places, root: Path = ROOT) -> Usage | None:
    """Of the group that lies there; None where there is no such group."""
    inner = {name: path.removeprefix(str(root)).lstrip("/") for name, path in places.items() if ".." not in path.split("/")}
    if (root / "cgroup.controllers").exists():
        folder = root / inner[UNIFIED] if UNIFIED in inner else None
        return _version_2(folder) if folder is not None and folder.is_dir() else None
    return _version_1({name: root / name / inner[name] for name in _CONTROLLERS if name in inner})


def places_of(pid: int | str, proc: Path = Path("/proc")) -> Places:
    """Where the groups of a process are; without those of everybody, the root."""
    try:
        lines = (proc / str(pid) / "cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    rows = [line.split(":", 2) for line in lines]
    return {name: place for _, names, place in rows if place != "/" for name in names.split(",")}


def _version_2(folder: Path) -> Usage:
    cpu, events = _pairs(folder / "cpu.stat"), _pairs(folder / "memory.events")
    quota, _, period = _text(folder / "cpu.max").partition(" ")
    read, written = _io_2(folder / "io.stat")
    return Usage(
        cpu_s=_scaled(cpu.get("usage_usec"), 1e-6),
        throttled_s=_scaled(cpu.get("throttled_usec"), 1e-6),
        cpus=int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else None,
        memory_bytes=_number(folder / "memory.current"),
        memory_limit_bytes=_number(folder / "memory.max"),
        oom_kills=events.get("oom_kill"),
        processes=_number(folder / "pids.current"),
        read_bytes=read,
        written_bytes=written,
    )


def _version_1(known: Mapping[str, Path]) -> Usage | None:
    """By the controllers whose groups are known."""
    if not any(folder.is_dir() for folder in known.values()):
        return None
    folders = {name: known.get(name, _NOWHERE) for name in _CONTROLLERS}
    quota, period = _number(folders["cpu"] / "cpu.cfs_quota_us"), _number(folders["cpu"] / "cpu.cfs_period_us")
    limit = _number(folders["memory"] / "memory.limit_in_bytes")
    moved = _pairs_of_last(folders["blkio"] / "blkio.throttle.io_service_bytes")
    return Usage(
        cpu_s=_scaled(_number(folders["cpuacct"] / "cpuacct.usage"), 1e-9),
        throttled_s=_scaled(_pairs(folders["cpu"] / "cpu.stat").get("throttled_time"), 1e-9),
        cpus=quota / period if quota is not None and quota > 0 and period else None,
        memory_bytes=_number(folders["memory"] / "memory.usage_in_bytes"),
        memory_limit_bytes=limit if limit is not None and limit < _UNLIMITED else None,
        oom_kills=_pairs(folders["memory"] / "memory.oom_control").get("oom_kill"),
        processes=_number(folders["pids"] / "pids.current"),
        read_bytes=moved.get("Read"),
        written_bytes=moved.get("Write"),
    )


_NOWHERE = Path("/nonexistent")


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _number(file: Path) -> int | None:
    """None for `max`, and where there is no such file."""
    text = _text(file)
    return int(text) if text.lstrip("-").isdigit() else None


def _pairs(file: Path) -> Mapping[str, int]:
    """Of lines `name number`."""
    rows = [line.split() for line in _text(file).splitlines()]
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}


def _pairs_of_last(file: Path) -> Mapping[str, int]:
    """Of lines `8:0 Read number`, summed over devices."""
    found: dict[str, int] = {}
    for row in (line.split() for line in _text(file).splitlines()):
        if len(row) == 3 and row[2].isdigit():
            found[row[1]] = found.get(row[1], 0) + int(row[2])
    return found


def _io_2(file: Path) -> tuple[int | None, int | None]:
    """Read and written, of lines `8:0 rbytes=1 wbytes=2 …`."""
    if not file.exists():
        return None, None
    words = [word.partition("=") for line in _text(file).splitlines() for word in line.split()[1:]]
    sums = {name: sum(int(value) for key, _, value in words if key == name and value.isdigit()) for name in ("rbytes", "wbytes")}
    return sums["rbytes"], sums["wbytes"]


def _scaled(value: int | None, factor: float) -> float | None:
    return None if value is None else value * factor
