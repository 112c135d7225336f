"""Finds what dead runs left in the temporary directory and takes it away. Never touches a live run, nor another user's."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.faults.cleanup import remove_directory, tear_down, undo_outstanding
from harness.faults.lease_files import PREFIX, UNFINISHED_PREFIX, Holder, read_holder, watchdog_of
from harness.record.clock import Clock, SystemClock
from harness.sweep import identify


@dataclass(frozen=True, slots=True)
class CleanedRun:
    """What was found of one dead run, and what became of it."""

    run_id: str
    work_dir: str
    undone: tuple[str, ...]
    ended: tuple[str, ...]
    left: tuple[str, ...]

    @property
    def summary(self) -> str:
        """One line."""
        done = f"{len(self.undone)} undo entries, {len(self.ended)} processes ended"
        return f"{self.run_id}: {done}, " + (f"LEFT: {', '.join(self.left)}" if self.left else "nothing left")


@dataclass(frozen=True, slots=True)
class CleanReport:
    """`live`: runs that go on, or whose watchdog is at work; they were not touched."""

    cleaned: tuple[CleanedRun, ...]
    live: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Nothing of any dead run is left."""
        return not any(run.left for run in self.cleaned)

    @property
    def summary(self) -> str:
        """What was done, for people: one line a run."""
        lines = [run.summary for run in self.cleaned] or ["nothing left by dead runs"]
        return "\n".join([*lines, *(f"{run_id}: alive, not touched" for run_id in self.live)])

    def to_json(self) -> dict[str, Any]:
        """`{"cleaned": [{run_id, work_dir, undone, ended, left}], "live": [run_id], "complete": bool}`."""
        return {"cleaned": [asdict(run) for run in self.cleaned], "live": list(self.live), "complete": self.complete}


def clean_up(tmp: Path | None = None, clock: Clock | None = None) -> CleanReport:
    """Clean up after every dead run of this user below `tmp` (default: the system's temporary directory)."""
    tmp = tmp or Path(tempfile.gettempdir())
    clock = clock or SystemClock()
    dead = leftovers(tmp)
    live = tuple(holder.run_id for holder in holders(tmp) if holder not in dead)
    cleaned = tuple(_clean_run(holder, clock) for holder in dead)
    for directory in _unfinished(tmp):
        remove_directory(directory, clock)
    return CleanReport(cleaned, live)


def leftovers(tmp: Path | None = None) -> list[Holder]:
    """Dead runs of this user that still have a work directory, and no watchdog at work on it. Changes nothing."""
    return [holder for holder in holders(tmp) if not holder.alive and watchdog_of(holder.work_dir) is None]


def _clean_run(holder: Holder, clock: Clock) -> CleanedRun:
    undone = undo_outstanding(holder.work_dir)
    torn_down = tear_down(holder, clock)
    told = tuple(f"{fault_id}: {entry.detail}" for fault_id, entries in undone.items() for entry in entries)
    return CleanedRun(holder.run_id, str(holder.work_dir), told, torn_down.ended, torn_down.left)


def holders(tmp: Path | None = None) -> Iterator[Holder]:
    """Leases of this user, of live and dead runs. One that names another directory than its own was moved or forged: left alone."""
    for directory in sorted((tmp or Path(tempfile.gettempdir())).glob(f"{PREFIX}*")):
        if not (_ours(directory) and _ours(directory / "lease")):
            continue
        holder = read_holder(directory)
        if holder is not None and holder.work_dir == directory.resolve() and directory.name == f"{PREFIX}{holder.run_id}":
            yield holder


def _unfinished(tmp: Path) -> Iterator[Path]:
    """Directories whose maker died within the few system calls that make a lease."""
    for directory in tmp.glob(f"{UNFINISHED_PREFIX}*"):
        pid = directory.name.rpartition(".")[2]
        if _ours(directory) and pid.isdecimal() and identify(int(pid)) is None:
            yield directory


def _ours(path: Path) -> bool:
    """A real directory of this user: instructions found in anybody else's are not followed."""
    try:
        return path.is_dir() and not path.is_symlink() and path.lstat().st_uid == os.geteuid()
    except OSError:
        return False
