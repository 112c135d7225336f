"""The sweep finds a run's processes by their marks, and ends them, paused ones included."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from harness.sweep import LABEL, Found, end_processes, identify, processes_in, processes_of, same_process

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
STUBBORN = [sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"]
ESCAPING_CHILD = """
import os, subprocess, sys, time
clean = {name: value for name, value in os.environ.items() if name != "GAUNTLET_RUN_ID"}
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], env=clean, cwd="/", start_new_session=True)
print(child.pid, flush=True)
time.sleep(60)
"""
PARENT = [sys.executable, "-c", ESCAPING_CHILD]


class Children:
    """Starts processes and takes every one of them down again."""

    def __init__(self) -> None:
        self.started: list[subprocess.Popen[bytes]] = []
        self.pids: list[int] = []

    def start(self, command: list[str], *, label: str | None = None, cwd: Path = Path("/")) -> tuple[subprocess.Popen[bytes], str]:
        environment = {**os.environ, **({LABEL: label} if label else {})}
        process = subprocess.Popen(command, env=environment, cwd=cwd, stdout=subprocess.PIPE, start_new_session=True)
        self.started.append(process)
        assert process.stdout is not None
        return process, process.stdout.readline().decode().strip()


@pytest.fixture
def children() -> Iterator[Children]:
    group = Children()
    yield group
    for pid in group.pids:
        if psutil.pid_exists(pid):
            os.kill(pid, signal.SIGKILL)
    for process in group.started:
        process.kill()
        process.wait(60)
        assert process.stdout is not None
        process.stdout.close()


def pids(found: list[Found]) -> set[int]:
    return {entry.pid for entry in found}


def test_a_labelled_process_is_found_and_another_run_is_not(children: Children) -> None:
    run_id = uuid.uuid4().hex
    mine, _ = children.start(SLEEP, label=run_id)
    children.start(SLEEP, label=run_id + "x")
    children.start(SLEEP)
    assert pids(processes_of(run_id)) == {mine.pid}


def test_an_unlabelled_process_is_found_by_its_directory_or_command_line(children: Children, tmp_path: Path) -> None:
    (tmp_path / "run" / "data").mkdir(parents=True)
    (tmp_path / "run-2").mkdir()
    inside, _ = children.start(SLEEP, cwd=tmp_path / "run" / "data")
    named, _ = children.start([*SLEEP, str(tmp_path / "run" / "file")])
    children.start([*SLEEP, str(tmp_path / "run-2")], cwd=tmp_path / "run-2")
    assert pids(processes_of("no-such-run", tmp_path / "run")) == {inside.pid, named.pid}
    assert pids(processes_in(tmp_path / "run")) == {inside.pid}


def test_a_child_that_left_session_directory_and_label_is_found_through_its_parent(children: Children) -> None:
    run_id = uuid.uuid4().hex
    parent, line = children.start(PARENT, label=run_id)
    children.pids.append(int(line))
    assert pids(processes_of(run_id)) == {parent.pid, int(line)}


def test_the_caller_and_its_ancestors_are_spared(tmp_path: Path) -> None:
    """A sweep that runs inside the run (the watchdog) must not end itself or the shell it was started from."""
    run_id = uuid.uuid4().hex
    script = f"from harness.sweep import processes_of; print(processes_of({run_id!r}))"
    result = subprocess.run(
        ["/bin/sh", "-c", f'"{sys.executable}" -c "{script}"; true'],
        env={**os.environ, LABEL: run_id, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == "[]"


def test_end_processes_ends_obedient_paused_and_stubborn_ones(children: Children) -> None:
    run_id = uuid.uuid4().hex
    obedient, _ = children.start(SLEEP, label=run_id)
    paused, _ = children.start(SLEEP, label=run_id)
    os.kill(paused.pid, signal.SIGSTOP)

    assert end_processes(processes_of(run_id), grace_s=30.0) == []
    stubborn, _ = children.start(STUBBORN, label=run_id)
    assert end_processes(processes_of(run_id), grace_s=0.2) == []
    assert processes_of(run_id) == []
    assert {obedient.wait(60), paused.wait(60)} == {-signal.SIGTERM}
    assert stubborn.wait(60) == -signal.SIGKILL


def test_a_pid_that_belongs_to_another_process_by_now_is_spared(children: Children) -> None:
    bystander, _ = children.start(SLEEP)
    real = identify(bystander.pid)
    assert real is not None and same_process(real) is not None
    stale = real._replace(create_time_s=real.create_time_s - 60)
    assert same_process(stale) is None
    assert end_processes([stale], grace_s=0.1) == []
    assert bystander.poll() is None


def test_a_zombie_is_gone(children: Children) -> None:
    process, _ = children.start(SLEEP)
    before = identify(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert before is not None and same_process(before) is None
    assert identify(process.pid) is None
