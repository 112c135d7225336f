"""Finds and ends the processes of one run by marks that outlive the harness: an environment label and the run's work directory.

Everything a run starts carries the label LABEL in its environment. PostgreSQL and Valkey overwrite theirs for their process titles, so
whatever works inside the run's work directory counts too. Where environment and directory of another user's process are unreadable (root
in a container without CAP_SYS_PTRACE), the command line names the work directory, and children are found through their parents.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

from harness import segments
from harness.record.clock import SystemClock

LABEL = "GAUNTLET_RUN_ID"
SAME_PROCESS_S = 1.5
"""Create times are read against the boot time, which moves by up to a second when the wall clock is set."""
KILL_WAIT_S = 5.0
POLL_S = 0.02
_GONE = (psutil.NoSuchProcess, psutil.ZombieProcess)
_UNREADABLE = (*_GONE, psutil.AccessDenied, OSError)


class Found(NamedTuple):
    """One process. `create_time_s` (Unix seconds) makes it unmistakable after its pid is used again."""

    pid: int
    create_time_s: float
    name: str


def processes_of(run_id: str, work_dir: Path | None = None) -> list[Found]:
    """Every live process of the run, children included; never the caller nor one of its ancestors."""

    def belongs(process: psutil.Process) -> bool:
        return _labelled(process, run_id) or (work_dir is not None and (_works_in(process, work_dir) or _names(process, work_dir)))

    return _found(belongs)


def processes_in(work_dir: Path) -> list[Found]:
    """Every live process that works inside `work_dir`, children included; never the caller nor one of its ancestors."""
    return _found(lambda process: _works_in(process, work_dir))


def end_processes(found: Iterable[Found], grace_s: float = 3.0) -> list[Found]:
    """End them, paused ones too: SIGTERM and SIGCONT, at most `grace_s` to comply, SIGKILL. Returns those that are still there.

    Shared memory that they leave behind is released.
    """
    alive = [p for p in map(same_process, found) if p is not None]
    makers = {process.pid: process.create_time() for process in alive}
    for process in alive:  # TERM first: a paused process must find it waiting when it continues
        _signal(process, signal.SIGTERM)
        _signal(process, signal.SIGCONT)
    stubborn = wait_gone(alive, grace_s)
    for process in stubborn:
        _signal(process, signal.SIGKILL)
    left = [entry for entry in map(_describe, wait_gone(stubborn, KILL_WAIT_S)) if entry is not None]
    segments.release([(pid, created_s) for pid, created_s in makers.items() if pid not in {entry.pid for entry in left}])
    return left


def wait_gone(processes: Iterable[psutil.Process], deadline_s: float) -> list[psutil.Process]:
    """Wait until all have ended; returns those that have not by the deadline.

    A zombie has ended (`psutil.wait_procs` would wait for its parent to notice), and it is left for that parent to reap.
    """
    clock = SystemClock()
    end_ns = clock.now_ns() + int(deadline_s * 1e9)
    alive = [p for p in processes if _runs(p)]
    while alive and clock.now_ns() < end_ns:
        clock.sleep(POLL_S)
        alive = [p for p in alive if _runs(p)]
    return alive


def same_process(found: Found) -> psutil.Process | None:
    """A handle on that very process; None when it is gone, a zombie, or its pid belongs to another by now."""
    try:
        process = psutil.Process(found.pid)
        if abs(process.create_time() - found.create_time_s) > SAME_PROCESS_S or process.status() == psutil.STATUS_ZOMBIE:
            return None
    except _GONE:
        return None
    return process


def identify(pid: int) -> Found | None:
    """The unmistakable description of a live pid; None when there is none, or only a zombie."""
    try:
        return _describe(psutil.Process(pid))
    except _GONE:
        return None


def _found(belongs: Callable[[psutil.Process], bool]) -> list[Found]:
    spared = {os.getpid(), *(p.pid for p in psutil.Process().parents())}
    members: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        if process.pid not in spared and process.pid not in members and belongs(process):
            members[process.pid] = process
            members.update((child.pid, child) for child in _children(process) if child.pid not in spared)
    return sorted(entry for entry in map(_describe, members.values()) if entry is not None)


def _children(process: psutil.Process) -> Iterator[psutil.Process]:
    try:
        yield from process.children(recursive=True)
    except _UNREADABLE:
        return


def _labelled(process: psutil.Process, run_id: str) -> bool:
    try:
        return process.environ().get(LABEL) == run_id
    except _UNREADABLE:
        return False


def _works_in(process: psutil.Process, work_dir: Path) -> bool:
    try:
        return Path(process.cwd()).is_relative_to(work_dir) and not _interactive(process)
    except _UNREADABLE:
        return False


def _names(process: psutil.Process, work_dir: Path) -> bool:
    try:
        named = any(argument == str(work_dir) or argument.startswith(f"{work_dir}/") for argument in process.cmdline())
        return named and not _interactive(process)
    except _UNREADABLE:
        return False


def _interactive(process: psutil.Process) -> bool:
    """Somebody's shell, pager or editor in the work directory: theirs, not the run's, which has no terminal."""
    return process.terminal() is not None


def _runs(process: psutil.Process) -> bool:
    """`is_running` compares the create time, so a pid used again does not count."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except _GONE:
        return False


def _describe(process: psutil.Process) -> Found | None:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return Found(process.pid, process.create_time(), process.name())
    except _GONE:
        return None


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except _GONE:
        return
