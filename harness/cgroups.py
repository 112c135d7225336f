"""Control groups of this machine's kernel, version 1 or 2: bounds for a process and its descendants, where this user may set them.

The groups of a run lie in `gauntlet-<run id>`, one for each instance, below a group that we may make others in: with version 1 our own,
with version 2 the highest, because there a group that holds processes cannot hand out processors and memory to others.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from harness.record.clock import SystemClock

Controller = Literal["cpu", "memory", "blkio"]
CONTROLLERS: tuple[Controller, ...] = ("cpu", "memory")
"""Without these, there are no groups for us. `blkio`, disks, is there or not; version 2 calls it `io`."""
DISKS: Controller = "blkio"
PREFIX = "gauntlet-"
CPU_PERIOD_US = 100_000
REMOVALS_MAX = 40
REMOVAL_WAIT_S = 0.05
"""Processes that were just killed are still leaving."""


class CgroupError(OSError):
    """The kernel refused; the message says what."""


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """Where groups can be made, by controller: with version 2 the same folder for all."""

    version: Literal[1, 2]
    folders: Mapping[Controller, Path]

    def group(self, run_id: str, name: str) -> Group:
        """The group of that name among a run's. Nothing is made yet."""
        return Group(self.version, {controller: folder / f"{PREFIX}{run_id}" / name for controller, folder in self.folders.items()})


@dataclass(frozen=True, slots=True)
class Group:
    """One group: a folder for each controller."""

    version: Literal[1, 2]
    folders: Mapping[Controller, Path]

    def make(self) -> None:
        """Harmless when it is there. Raises CgroupError."""
        for folder in self.folders.values():
            _make(folder.parent)
            if self.version == 2:
                _enable(folder.parent)
            _make(folder)

    def join(self, pid: int, controller: Controller) -> None:
        """Move a process into it; its descendants-to-be follow. Harmless when it has ended. Raises CgroupError."""
        try:
            (self.folders[controller] / "cgroup.procs").write_text(str(pid), encoding="ascii")
        except ProcessLookupError:
            return
        except OSError as error:
            raise CgroupError(f"{self.folders[controller]}: {error.strerror}") from error

    def bound_cpus(self, cpus: float | None) -> None:
        """Processors that all in it may use together; None: any. Raises CgroupError."""
        folder = self.folders["cpu"]
        quota = None if cpus is None else round(cpus * CPU_PERIOD_US)
        if self.version == 2:
            _write(folder / "cpu.max", f"{'max' if quota is None else quota} {CPU_PERIOD_US}")
        else:
            _write(folder / "cpu.cfs_period_us", str(CPU_PERIOD_US))
            _write(folder / "cpu.cfs_quota_us", "-1" if quota is None else str(quota))

    def bound_memory(self, most_bytes: int | None) -> None:
        """Memory that all in it may use together, without swap; None: any. Raises CgroupError, also for less than is in use (version 1)."""
        folder = self.folders["memory"]
        if self.version == 2:
            _write(folder / "memory.max", "max" if most_bytes is None else str(most_bytes))
            _write(folder / "memory.swap.max", "max" if most_bytes is None else "0", optional=True)
            return
        _write(folder / "memory.memsw.limit_in_bytes", "-1", optional=True)  # first: never below the other
        _write(folder / "memory.limit_in_bytes", "-1" if most_bytes is None else str(most_bytes))
        if most_bytes is not None:
            _write(folder / "memory.memsw.limit_in_bytes", str(most_bytes), optional=True)

    def bound_disk(self, device: str, bytes_per_s: int | None) -> None:
        """What all in it may write to a block device (`8:0`), as far as they wait for it; None: any. Raises CgroupError."""
        folder = self.folders["blkio"]
        if self.version == 2:
            _write(folder / "io.max", f"{device} wbps={'max' if bytes_per_s is None else bytes_per_s}")
        else:
            _write(folder / "blkio.throttle.write_bps_device", f"{device} {bytes_per_s or 0}")


def hierarchy() -> Hierarchy:
    """Where this process may make groups. Raises CgroupError that says why it may not."""
    found = _found()
    if isinstance(found, str):
        raise CgroupError(found)
    return found


def why_not() -> str | None:
    """None where groups can be made, else the reason."""
    found = _found()
    return found if isinstance(found, str) else None


def remove_groups(run_id: str) -> list[str]:
    """Remove all groups of a run, whose processes have ended; returns those that resist. Harmless where there are none.

    Also where we could make none ourselves: whoever made them may have been in another group, or another user.
    """
    return [str(folder) for folder in groups_of(run_id) if not _remove(folder)]


def groups_of(run_id: str) -> list[Path]:
    """The folders `gauntlet-<run id>`, wherever on this machine, by whatever controller: a run lies below the group it was started in.

    A run of two versions has another set, of `<run id>.<version>`; with the run's own id all are meant.
    """
    try:
        mounts = list(_mounts(Path("/proc/self/mountinfo").read_text(encoding="utf-8")))
    except OSError:
        return []
    points = {mount.point for mount in mounts if mount.version == 2 or mount.controllers & {*CONTROLLERS, DISKS}}
    name = f"{PREFIX}{run_id}"
    walked = [(folder, inner) for point in points for folder, inner, _ in os.walk(point)]
    return sorted({Path(folder, one) for folder, inner in walked for one in inner if one == name or one.startswith(f"{name}.")})


def folder_of(pid: int, controller: Controller) -> tuple[Literal[1, 2], Path]:
    """Version and folder of the group that a process is in. Raises CgroupError where that is not seen from here."""
    try:
        mounts = list(_mounts(Path("/proc/self/mountinfo").read_text(encoding="utf-8")))
        places = dict(_places(Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8")))
    except OSError as error:
        raise CgroupError(f"the group of process {pid}: {error.strerror}") from error
    named = controller in places
    for mount in mounts:
        if controller in mount.controllers or (mount.version == 2 and not named):
            folder = mount.point / places.get(controller if named else "", "/").lstrip("/")
            if folder.is_dir():
                return mount.version, folder
    raise CgroupError(f"the group of process {pid} is not seen from here")


@cache
def _found() -> Hierarchy | str:
    return find(Path("/proc/self"))


def find(process: Path) -> Hierarchy | str:
    """What `hierarchy` finds for a process by its folder in /proc, or the reason."""
    try:
        mounts = list(_mounts((process / "mountinfo").read_text(encoding="utf-8")))
        places = dict(_places((process / "cgroup").read_text(encoding="utf-8")))
    except OSError as error:
        return f"the kernel tells nothing of control groups: {error}"
    old = {controller: mount for controller in (*CONTROLLERS, DISKS) for mount in mounts if controller in mount.controllers}
    unified = next((mount for mount in mounts if mount.version == 2), None)
    if old.keys() >= set(CONTROLLERS):
        return _version_1(old, places)
    if unified is not None:
        return _version_2(unified, _inside(unified, places.get("", "/")))
    return "the kernel's control groups for processors and memory are not mounted"


@dataclass(frozen=True, slots=True)
class _Mount:
    version: Literal[1, 2]
    root: str
    point: Path
    controllers: frozenset[str]


def _mounts(mountinfo: str) -> Iterator[_Mount]:
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.partition(" ")
        if kind in ("cgroup", "cgroup2"):
            fields = before.split()
            controllers = frozenset(options.split()[-1].split(",")) if kind == "cgroup" else frozenset[str]()
            yield _Mount(1 if kind == "cgroup" else 2, fields[3], Path(fields[4]), controllers)


def _places(cgroup: str) -> Iterator[tuple[str, str]]:
    """(controller, path); version 2's has no name."""
    for line in cgroup.splitlines():
        _, names, path = line.split(":", 2)
        for name in names.split(","):
            yield name, path


def _inside(mount: _Mount, place: str) -> Path:
    """The folder of a group. In a container the mount's root is often the group itself, whatever it is called outside."""
    root = mount.root.rstrip("/")
    inner = place.removeprefix(root) if place == root or place.startswith(f"{root}/") else ""
    folder = mount.point / inner.lstrip("/")
    return folder if ".." not in inner.split("/") and folder.is_dir() else mount.point


def _version_1(mounts: Mapping[Controller, _Mount], places: Mapping[str, str]) -> Hierarchy | str:
    folders = {controller: _inside(mount, places.get(controller, "/")) for controller, mount in mounts.items()}
    found = Hierarchy(1, folders)
    reason = _trial(found)
    return found if reason is None else reason


def _version_2(mount: _Mount, own: Path) -> Hierarchy | str:
    reason = "no group"
    for folder in sorted({own, *(parent for parent in own.parents if parent.is_relative_to(mount.point))}):  # the highest first
        disks = (DISKS,) if "io" in _listed(folder / "cgroup.controllers") else ()
        found = Hierarchy(2, dict.fromkeys((*CONTROLLERS, *disks), folder))
        failed = _trial(found)
        if failed is None:
            return found
        reason = failed
    return reason


def _trial(found: Hierarchy) -> str | None:
    """None when a group can be made there, bounded, and entered by processes of ours; else the reason."""
    run_id = f"trial-{os.getpid()}"
    group = found.group(run_id, "trial")
    try:
        for folder in set(found.folders.values()):
            if found.version == 2:
                _enable(folder)
                if not os.access(folder / "cgroup.procs", os.W_OK):
                    return f"processes may not be moved inside {folder}"
        group.make()
        group.bound_cpus(None)
        group.bound_memory(None)
    except CgroupError as error:
        return str(error)
    finally:
        for folder in {folder.parent for folder in group.folders.values()}:
            _remove(folder)
    return None


def _enable(folder: Path) -> None:
    """Hand processors and memory, and disks where they can be, out to the groups below. Raises CgroupError."""
    control = folder / "cgroup.subtree_control"
    lacking = {*CONTROLLERS, *({"io"} & _listed(folder / "cgroup.controllers"))} - _listed(control)
    if lacking:
        _write(control, " ".join(f"+{controller}" for controller in sorted(lacking)))


def _listed(file: Path) -> set[str]:
    try:
        return set(file.read_text(encoding="ascii").split())
    except OSError:
        return set()  # whoever writes there will hear why


def _make(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise CgroupError(f"{folder}: {error.strerror}") from error


def _write(file: Path, text: str, optional: bool = False) -> None:
    if optional and not file.exists():
        return
    try:
        file.write_text(text, encoding="ascii")
    except OSError as error:
        raise CgroupError(f"{file}: {error.strerror}") from error


def _remove(folder: Path) -> bool:
    """With the groups inside; False when something stays."""
    if not folder.is_dir():
        return True
    clock = SystemClock()
    inner = [entry for entry in folder.iterdir() if entry.is_dir()]
    for _ in range(REMOVALS_MAX):
        try:
            for group in [*inner, folder]:
                if group.is_dir():
                    group.rmdir()
        except OSError as error:
            if error.errno != errno.EBUSY:
                return False
            clock.sleep(REMOVAL_WAIT_S)
        else:
            return True
    return False
