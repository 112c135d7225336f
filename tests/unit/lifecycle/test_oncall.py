"""Nothing of an operator outlives its run, whatever it was started by."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest

from harness.lifecycle.oncall import OnCall, OnCallError
from harness.record.clock import NS_PER_S, SystemClock
from harness.sweep import wait_gone

_LAUNCHER = """
import subprocess, sys
agent = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
print(agent.pid, flush=True)
agent.wait()
"""


def test_what_a_launcher_has_started_ends_with_it(tmp_path: Path) -> None:
    clock, log = SystemClock(), tmp_path / "operator.log"
    on_call = OnCall(tmp_path / "oncall", log, "r-1")
    on_call.start([sys.executable, "-c", _LAUNCHER], {})
    deadline_ns = clock.now_ns() + 20 * NS_PER_S
    while not log.read_text(encoding="utf-8").endswith("\n"):
        assert clock.now_ns() < deadline_ns
        clock.sleep(0.01)
    agent = psutil.Process(int(log.read_text(encoding="utf-8")))
    on_call.stop()
    left = wait_gone([agent], 5.0)
    for process in left:
        process.kill()
    assert (left, on_call.running) == ([], False)


def test_a_command_that_does_not_exist_is_named(tmp_path: Path) -> None:
    on_call = OnCall(tmp_path / "oncall", tmp_path / "operator.log", "r-1")
    with pytest.raises(OnCallError, match=r"'/nowhere/agent' cannot be started: .*No such file"):
        on_call.start(["/nowhere/agent", "{targets}"], {})
    assert not on_call.running
