"""A program beside an embedded instance: in its control group, on its processors, ending with the run."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.stack.child import Child, Command
from harness.stack.groups import InstanceGroups
from harness.stack.launch import base_environment
from harness.stack.options import StackOptions


class ProcessStress:
    """A `Stress` that is a child of the harness."""

    def __init__(self, child: Child, log: Path) -> None:
        self._child = child
        self._log = log

    @property
    def pid(self) -> int:
        return self._child.pid

    def output(self) -> str:
        try:
            return self._log.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""  # it went with the work directory

    def end(self) -> None:
        if self._child.running:
            self._child.kill()


def run_beside(
    instance: str, pid: int, number: int, script: Path, arguments: Sequence[str], options: StackOptions, groups: InstanceGroups
) -> ProcessStress:
    """Run a Python script beside the instance whose main process is `pid`; `number` makes its log its own. Raises StackError.

    As the harness's own user: whoever a database runs as need not be able to run Python.
    """
    log = options.work_dir / f"beside-{instance}-{number}.log"
    child = Child(
        Command(
            argv=(sys.executable, "-I", "-S", str(script), *arguments),
            env=base_environment(options.run_id),
            cwd=options.work_dir,
            log=log,
        )
    )
    groups.admit(instance, child.pid)
    with contextlib.suppress(ProcessLookupError):  # one of the two has ended already
        os.sched_setaffinity(child.pid, os.sched_getaffinity(pid))
    return ProcessStress(child, log)
