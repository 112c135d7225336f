"""What a step has started and not ended, and its end.

Left alone, with what they start, are processes that answer for themselves: a watchdog of a run, which puts back what the run broke and then
ends; a site that was deployed, which goes on standing, and which its own commands and `gauntlet clean` take down.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

import psutil

from harness.sweep import Found, end_processes, identify

MARK = "GAUNTLET_PIPELINE_STEP"
"""In the environment of everything that a step starts; its value is the step's own folder."""
_ANSWER_FOR_THEMSELVES = {"harness.faults.watchdog", "harness.deploy.side", "harness.deploy.router"}


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
    there = list(processes)
    spared = {pid for process in there if _answers_for_itself(process) for pid in _family(process)}
    for process in there:
        if process.pid not in spared and (one := identify(process.pid)) is not None:
            yield one


def _family(process: psutil.Process) -> set[int]:
    """A process and all below it: what it starts works for it."""
    try:
        return {process.pid, *(child.pid for child in process.children(recursive=True))}
    except psutil.Error:
        return {process.pid}


def _mark(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(MARK)
    except (psutil.Error, OSError):
        return None


def _answers_for_itself(process: psutil.Process) -> bool:
    try:
        return not _ANSWER_FOR_THEMSELVES.isdisjoint(process.cmdline())
    except (psutil.Error, OSError):
        return False
