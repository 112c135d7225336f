"""Whether the kernel holds a process frozen as part of its control group, which is how container engines pause: no signal says so."""

from __future__ import annotations

from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
FROZEN = "frozen"
"""As a state of a process, beside those of the scheduler."""


def frozen(pid: int, groups: Path = GROUPS, processes: Path = Path("/proc")) -> bool:
    """By the files of its control group, version 1 or 2; False where they cannot be read."""
    try:
        entries = (processes / str(pid) / "cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    return any(_frozen_group(groups, *entry.split(":", 2)[1:]) for entry in entries)


def _frozen_group(groups: Path, controllers: str, path: str) -> bool:
    """One line of /proc/<pid>/cgroup: `freezer` names its hierarchy of version 1, nothing the one of version 2."""
    group = path.lstrip("/")
    try:
        if controllers == "freezer":
            return (groups / "freezer" / group / "freezer.state").read_text(encoding="ascii").strip() == "FROZEN"
        return controllers == "" and "frozen 1" in (groups / group / "cgroup.events").read_text(encoding="ascii").splitlines()
    except OSError:
        return False
