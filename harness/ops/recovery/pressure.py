"""What is done when processors, memory or a disk of this machine stay scarce: who takes them is recorded, temporary files are cleaned away,
and what is still hungry then is a cause for the controller, under its guardrails.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from harness.ops.diagnosis.ranking import Cause
from harness.ops.monitoring.readings import HOST

SCARCE = ("cpu", "memory", "disk")
PATIENCE_S = 15.0
"""What was cleaned away gets so long to show, before anything is restarted."""
SHOWN = 5
MOST_FILES = 10_000
"""Removed at once."""
HUNGRY = 0.4
"""Who takes less than this share of what is scarce on the machine is not restarted for it."""

Hungriest = Callable[[str, str | None], tuple[str, str, float] | None]
"""Of a metric, and of one service or of all: service, instance and share of the instance that takes most."""


@dataclass(frozen=True, slots=True)
class PressurePolicy:
    """`temporary`: folders whose files may go once they are `older_than_s`. `restart`: may what takes most be restarted?"""

    temporary: tuple[Path, ...] = ()
    older_than_s: float = 3600.0
    restart: bool = False


@dataclass(frozen=True, slots=True)
class Process:
    """`cpus`: processors that it kept busy since the scarcity was first seen."""

    pid: int
    name: str
    cpus: float
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Cleaned:
    """Regular files that went, or would; `failed`: that could not be removed."""

    files: int = 0
    freed_bytes: int = 0
    failed: int = 0


def processor_times() -> dict[int, float]:
    """Seconds of a processor by process."""
    return {p.pid: t.user + t.system for p in psutil.process_iter(["cpu_times"]) if (t := p.info["cpu_times"]) is not None}


def top_processes(metric: str, before: Mapping[int, float], seconds: float, most: int = SHOWN) -> tuple[Process, ...]:
    """Those that take most of it, most first. `before`: processor times that many seconds ago."""
    found = []
    for process in psutil.process_iter(["name", "cpu_times", "memory_info"]):
        times, memory = process.info["cpu_times"], process.info["memory_info"]
        if times is None or memory is None:
            continue
        spent_s = times.user + times.system - before.get(process.pid, 0.0)
        found.append(Process(process.pid, str(process.info["name"]), max(0.0, spent_s) / seconds if seconds > 0 else 0.0, memory.rss))
    return tuple(sorted(found, key=lambda p: p.cpus if metric == "cpu" else p.memory_bytes, reverse=True)[:most])


def clean(folders: Iterable[Path], older_than_s: float, now_s: float, dry_run: bool = False) -> Cleaned:
    """Remove regular files below the folders that were not changed for so long; folders, links, sockets and other file systems are left.

    Every file is removed by the descriptor of its folder: what others put in the place of a folder meanwhile is not followed.
    """
    files = freed = failed = 0
    for folder in folders:
        for name, at, size in _old(folder, now_s - older_than_s):
            if files + failed >= MOST_FILES:
                break
            try:
                if not dry_run:
                    os.unlink(name, dir_fd=at)
            except OSError:
                failed += 1
                continue
            files, freed = files + 1, freed + size
    return Cleaned(files, freed, failed)


def _old(folder: Path, before_s: float) -> Iterator[tuple[str, int, int]]:
    """Name, descriptor of its folder, and size."""
    with suppress(OSError):
        device = os.lstat(folder).st_dev
        for _, folders, names, at in os.fwalk(folder, follow_symlinks=False):
            folders[:] = [one for one in folders if _device(one, at) == device]
            for name in names:
                with suppress(OSError):
                    found = os.lstat(name, dir_fd=at)
                    if stat.S_ISREG(found.st_mode) and max(found.st_mtime, found.st_ctime) < before_s:
                        yield name, at, found.st_size


def _device(name: str, at: int) -> int | None:
    try:
        return os.lstat(name, dir_fd=at).st_dev
    except OSError:
        return None


@dataclass(slots=True)
class _Scarcity:
    first_s: float
    before: Mapping[int, float]
    answered_s: float | None = None


@dataclass(slots=True)
class PressureResponse:
    """Called once a round. `acts`: else it is only told what would be removed, and nothing is restarted by it."""

    policy: PressurePolicy
    acts: bool
    hungriest: Hungriest
    wall_s: Callable[[], float]
    told: Callable[[Mapping[str, Any]], None]
    time_scale: float = 1.0
    _seen: dict[tuple[str, str], _Scarcity] = field(default_factory=dict)

    def update(self, t_s: float, critical: Iterable[tuple[str, str]], lasting: Iterable[tuple[str, str]]) -> Sequence[Cause]:
        """`critical`: subject and metric of what is past its limit now, `lasting`: of what has an alert for it. Returns what should be
        restarted by now.
        """
        now = {key for key in critical if key[1] in SCARCE}
        lasts = {key for key in lasting if key[1] in SCARCE}
        for gone in self._seen.keys() - now - lasts:
            del self._seen[gone]
        for key in now - self._seen.keys():
            self._seen[key] = _Scarcity(t_s, processor_times())
        return [cause for key in sorted(lasts & self._seen.keys()) if (cause := self._answer(t_s, key, self._seen[key])) is not None]

    def _answer(self, t_s: float, key: tuple[str, str], one: _Scarcity) -> Cause | None:
        subject, metric = key
        if one.answered_s is None:
            one.answered_s = t_s
            top = top_processes(metric, one.before, t_s - one.first_s)
            self.told({"what": "pressure", "subject": subject, "metric": metric, "processes": [asdict(process) for process in top]})
            if self.policy.temporary:
                cleaned = clean(self.policy.temporary, self.policy.older_than_s, self.wall_s(), dry_run=not self.acts)
                self.told({"what": "cleaned", "subject": subject, "metric": metric, "removed": self.acts, **asdict(cleaned)})
            return None
        if not self.policy.restart or metric == "disk" or t_s - one.answered_s < PATIENCE_S / self.time_scale:
            return None
        found = self.hungriest(metric, None if subject == HOST else subject)
        if found is None or (subject == HOST and found[2] < HUNGRY):
            return None
        service, instance, share = found
        evidence = f"{metric} of {subject} stays past its limit; {instance} takes {share:.0%} of what it may"
        return Cause(service, metric, 0.9, evidence, (instance,))
