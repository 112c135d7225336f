"""The two scripts that run beside or above an instance: they do what they say, and end when they must."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.faults import stressor, wrapper
from harness.faults.process_start import ignores
from harness.faults.resource import own_number
from harness.record.clock import NS_PER_S, SystemClock
from harness.sweep import identify

WITHIN_S = 20.0
SLEEPER = [sys.executable, "-c", "import time\nwhile True: time.sleep(0.05)"]
ORDERLY = (
    "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\nprint('up', flush=True)\nwhile True: time.sleep(0.05)"
)


def until(condition: Callable[[], object], what: str) -> None:
    clock = SystemClock()
    deadline_ns = clock.now_ns() + round(WITHIN_S * NS_PER_S)
    while not condition():
        assert clock.now_ns() < deadline_ns, what
        clock.sleep(0.01)


@contextmanager
def running(argv: list[str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def stressing(mode: str, *options: str, ttl_s: float = WITHIN_S) -> list[str]:
    return [sys.executable, "-I", "-S", stressor.__file__, mode, "--name", "word", "--ttl", str(ttl_s), *options]


def said(mode: str, *options: str) -> dict[str, Any]:
    done = subprocess.run(stressing(mode, *options), capture_output=True, text=True, check=True, timeout=WITHIN_S)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def wrapped(*how: str, command: list[str]) -> list[str]:
    return [sys.executable, "-I", "-S", wrapper.__file__, *how, "--", *command]


def gone(pid: int) -> bool:
    return identify(pid) is None  # by one look: between two it may be reaped


def test_work_is_told_with_the_time_it_took() -> None:
    found = said("spin", "--cpu-s", "0.05")
    assert found.keys() == {"wall_s", "cpu_s"} and 0.05 <= found["cpu_s"] < 0.2 and found["wall_s"] >= found["cpu_s"] - 0.01


def test_what_was_written_leaves_no_file(tmp_path: Path) -> None:
    found = said("write", "--kb", "64", "--folder", str(tmp_path))
    assert found.keys() == {"took_s"} and found["took_s"] > 0.0
    assert list(tmp_path.iterdir()) == []


def test_memory_is_taken_at_the_rate_and_kept() -> None:
    with running(stressing("hold", "--mb", "6", "--mb-per-s", "30", "--oom-score", "900")) as process:
        assert process.stdout is not None and json.loads(process.stdout.readline()) == {"held_mb": 6}
        assert psutil.Process(process.pid).memory_info().rss >= 6 * stressor.MB
        assert Path(f"/proc/{process.pid}/oom_score_adj").read_text() == "900\n"


def test_what_burns_has_its_workers_and_all_end_together() -> None:
    with running(stressing("burn", "--workers", "2")) as process:
        until(lambda: len(psutil.Process(process.pid).children()) == 2, "workers")
        workers = [worker.pid for worker in psutil.Process(process.pid).children()]
        process.kill()
        until(lambda: all(map(gone, workers)), "the workers ended")


@pytest.mark.parametrize("mode", ["burn", "hold", "interrupt"])
def test_each_ends_with_the_process_that_it_accompanies(mode: str) -> None:
    with ExitStack() as stack:
        victim = stack.enter_context(running(SLEEPER))
        process = stack.enter_context(running(stressing(mode, "--with-pid", str(victim.pid), "--busy-s", "0.05", "--free-s", "0.05")))
        until(lambda: psutil.Process(process.pid).cmdline()[1:2] == ["-I"], "it runs")
        victim.kill()
        victim.wait()
        assert process.wait(WITHIN_S) == 0


def test_it_ends_after_its_time_to_live() -> None:
    with running(stressing("hold", "--mb", "1", ttl_s=0.1)) as process:
        assert process.wait(WITHIN_S) == 0


def test_it_ends_when_whoever_started_it_is_gone() -> None:
    starter = "import subprocess, sys; p = subprocess.Popen(sys.argv[1:]); print(p.pid, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", starter, *stressing("hold", "--mb", "1")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as harness:
        assert harness.stdout is not None
        pid = next(int(line) for line in sorted(harness.stdout.readline() for _ in range(2)))  # the number, and what it says when it is up
        harness.kill()
    until(lambda: gone(pid), "gone with its starter")


def test_an_interrupted_tree_is_stopped_and_runs_in_the_end() -> None:
    parent = [sys.executable, "-c", f"import subprocess; subprocess.run({SLEEPER!r})"]
    with ExitStack() as stack:
        victim = psutil.Process(stack.enter_context(running(parent)).pid)
        until(victim.children, "a child")
        tree = [victim, *victim.children()]
        stack.callback(tree[1].kill)
        process = stack.enter_context(running(stressing("interrupt", "--with-pid", str(victim.pid), "--busy-s", "0.5", "--free-s", "0.01")))
        until(lambda: {one.status() for one in tree} == {psutil.STATUS_STOPPED}, "all are stopped")
        process.terminate()
        process.wait(WITHIN_S)
        until(lambda: psutil.STATUS_STOPPED not in {one.status() for one in tree}, "all run")


def test_a_slow_start_becomes_the_command() -> None:
    clock = SystemClock()
    start_ns = clock.now_ns()
    with running(wrapped("slow", "0.3", command=[sys.executable, "-c", "import os; print(os.getpid())"])) as process:
        assert process.stdout is not None and int(process.stdout.readline()) == process.pid
    assert (clock.now_ns() - start_ns) / NS_PER_S >= 0.3


def test_the_deaf_hear_nothing_until_they_may() -> None:
    with running(wrapped("deaf", command=[sys.executable, "-c", ORDERLY])) as process:
        assert process.stdout is not None and process.stdout.readline() == "up\n"
        assert ignores(process.pid, signal.SIGTERM)
        process.terminate()
        (command,) = psutil.Process(process.pid).children()
        os.kill(process.pid, signal.SIGUSR1)
        until(lambda: not ignores(process.pid, signal.SIGTERM), "it hears")
        assert process.poll() is None and command.is_running()
        process.terminate()
        assert process.wait(WITHIN_S) == 3, "the command's own status"


def test_the_command_of_the_deaf_ends_with_them() -> None:
    with running(wrapped("deaf", command=SLEEPER)) as process:
        until(lambda: psutil.Process(process.pid).children(), "the command")
        (command,) = psutil.Process(process.pid).children()
        process.kill()
        until(lambda: gone(command.pid), "gone")


def test_a_killed_command_is_told_as_a_shell_does() -> None:
    with running(wrapped("deaf", command=[sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"])) as process:
        assert process.wait(WITHIN_S) == 137


def test_outside_of_containers_a_process_has_one_number() -> None:
    assert own_number(os.getpid()) == os.getpid()
