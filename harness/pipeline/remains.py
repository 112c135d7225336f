"""What a step has started and not ended, and its end.

A watchdog of a run is left alone: it puts back what the run broke, and ends by itself when that is done.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

import psutil

from harness.sweep import Found, end_processes, identify

MARK = "GAUNTLET_PIPELINE_STEP"
"""In the environment of everything that a step starts; its value is the step's own folder."""
_WATCHDOG = "harness.faults.watchdog"


def below(pid: int) -> list[Found]:
    """Every descendant of a process; empty for one that is gone."""
    try:
        children = psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []
    return list(_found(children))


def marked(value: str) -> list[Found]:
    """Every process with this mark but the caller, whoever its parent is by now."""
    return list(_found(process for process in psutil.process_iter() if _mark(process) == value and process.pid != os.getpid()))


def end(found: list[Found]) -> list[Found]:
    """End them; returns those that are still there."""
    return end_processes(set(found))


def _found(processes: Iterable[psutil.Process]) -> Iterator[Found]:
    for process in processes:
        one = identify(process.pid)
        if one is not None and not _is_watchdog(process):
            yield one


def _mark(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(MARK)
    except (psutil.Error, OSError):
        return None


def _is_watchdog(process: psutil.Process) -> bool:
    try:
        return _WATCHDOG in process.cmdline()
    except (psutil.Error, OSError):
        return False
