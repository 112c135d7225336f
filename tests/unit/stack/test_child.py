"""Real processes: what a child process says, and that nothing of its tree outlives it."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from harness.stack.base import StackError
from harness.stack.child import Child, Command
from harness.sweep import identify

TREE = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"], start_new_session=True)
print(child.pid, flush=True)
time.sleep(60)
"""
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
POLITE = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(3)); print('up', flush=True); time.sleep(60)"


class Nursery:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.children: list[Child] = []

    def start(self, script: str, env: dict[str, str] | None = None) -> Child:
        """Start a script and wait for its first line."""
        log = self._folder / f"{len(self.children)}.log"
        child = Child(Command((sys.executable, "-S", "-c", script), env or {"PATH": os.defpath}, self._folder, log))
        self.children.append(child)
        until(lambda: child.log_tail() or not child.running)
        return child


def until(condition: Callable[[], object], deadline_s: float = 60.0) -> None:
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, "condition not met in time"
        time.sleep(0.01)


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[Nursery]:
    group = Nursery(tmp_path)
    yield group
    for child in group.children:
        child.kill()


def states(pids: list[int]) -> set[str]:
    return {psutil.Process(pid).status() for pid in pids}


def test_output_of_both_streams_and_the_exit_status_are_kept(nursery: Nursery) -> None:
    child = nursery.start("import sys; print('out', flush=True); sys.stderr.write('err\\n'); sys.exit(7)")
    until(lambda: not child.running)
    assert (child.ended(), child.log_tail()) == ("exit status 7", "out\nerr\n")


def test_it_gets_the_environment_and_directory_it_was_given_and_nothing_else(nursery: Nursery, tmp_path: Path) -> None:
    child = nursery.start("import os; print(sorted(os.environ), os.getcwd(), os.getsid(0) == os.getpid())", {"ONE": "1"})
    assert child.log_tail() == f"['LC_CTYPE', 'ONE'] {tmp_path} True\n"  # Python adds LC_CTYPE itself, in the C locale


def test_what_cannot_be_executed_is_a_stack_error(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="cannot start /no/such/program"):
        Child(Command(("/no/such/program",), {}, tmp_path, tmp_path / "log"))


def test_kill_ends_the_tree_also_children_in_sessions_of_their_own(nursery: Nursery) -> None:
    child = nursery.start(TREE)
    grandchild = psutil.Process(int(child.log_tail()))
    assert {found.pid for found in child.identities()} == {child.pid, grandchild.pid}
    child.kill()
    assert child.ended() == "killed by SIGKILL"
    assert identify(grandchild.pid) is None
    child.kill()  # idempotent
    assert child.identities() == []


def test_a_paused_tree_is_frozen_whole_and_thaws(nursery: Nursery) -> None:
    child = nursery.start(TREE)
    pids = [child.pid, int(child.log_tail())]
    child.set_paused(True)
    until(lambda: states(pids) == {psutil.STATUS_STOPPED})
    child.set_paused(False)
    until(lambda: psutil.STATUS_STOPPED not in states(pids))
    assert child.running


def test_stop_lets_it_finish(nursery: Nursery) -> None:
    child = nursery.start(POLITE)
    child.stop(60.0)
    assert child.ended() == "exit status 3"
    child.stop(60.0)


def test_stop_is_heard_by_a_paused_process(nursery: Nursery) -> None:
    child = nursery.start(POLITE)
    child.set_paused(True)
    child.stop(60.0)
    assert child.ended() == "exit status 3"


def test_stop_does_not_take_no_for_an_answer(nursery: Nursery) -> None:
    child = nursery.start(STUBBORN)
    child.stop(0.1)
    assert child.ended() == "killed by SIGKILL"


def test_an_end_from_outside_is_noticed(nursery: Nursery) -> None:
    child = nursery.start(STUBBORN)
    assert child.ended() is None
    os.kill(child.pid, signal.SIGSEGV)
    until(lambda: not child.running)
    assert child.ended() == "killed by SIGSEGV"
