"""Nothing of an operator outlives its run, whatever it was started by."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest
import yaml

from harness.lifecycle.oncall import OnCall, OnCallError, targets_document
from harness.ops.targets import load_targets
from harness.record.clock import NS_PER_S, SystemClock
from harness.scenario.loader import load_text
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
    deadline_ns = clock.now_ns() + 60 * NS_PER_S
    while not log.read_text(encoding="utf-8").endswith("\n"):
        assert clock.now_ns() < deadline_ns
        clock.sleep(0.01)
    agent = psutil.Process(int(log.read_text(encoding="utf-8")))
    on_call.stop()
    left = wait_gone([agent], 30.0)
    for process in left:
        process.kill()
    assert (left, on_call.running) == ([], False)


def test_a_command_that_does_not_exist_is_named(tmp_path: Path) -> None:
    on_call = OnCall(tmp_path / "oncall", tmp_path / "operator.log", "r-1")
    with pytest.raises(OnCallError, match=r"'/nowhere/agent' cannot be started: .*No such file"):
        on_call.start(["/nowhere/agent", "{targets}"], {})
    assert not on_call.running


def test_files_of_the_command_are_found_from_where_we_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "agent.py").write_text("import os, sys; print(sys.executable, os.getcwd(), *sys.argv[1:])", encoding="utf-8")
    python = tmp_path / "python"  # as in an environment: a link to an interpreter that knows nothing of its packages
    python.symlink_to(sys.executable)
    clock, log = SystemClock(), tmp_path / "operator.log"
    on_call = OnCall(tmp_path / "oncall", log, "r-1")
    on_call.start(["./python", "agent.py", "{targets}", "x" * 5000], {})
    deadline_ns = clock.now_ns() + 20 * NS_PER_S
    while not log.read_text(encoding="utf-8").endswith("\n"):
        assert clock.now_ns() < deadline_ns
        clock.sleep(0.01)
    on_call.stop()
    run_by, there, targets, _ = log.read_text(encoding="utf-8").split()
    assert (run_by, there, targets) == (str(python), str(tmp_path / "oncall"), str(tmp_path / "oncall" / "targets.yaml"))


def test_rule_files_are_copied_under_names_that_say_nothing(tmp_path: Path) -> None:
    (tmp_path / "brownout-of-the-provider.yml").write_text("groups: []", encoding="utf-8")
    on_call = OnCall(tmp_path / "oncall", tmp_path / "operator.log", "r-1")
    on_call.start([sys.executable, "-c", ""], {"rules": ["rules-1.yml"]}, [str(tmp_path / "brownout-of-the-provider.yml")])
    on_call.stop()
    assert {path.name for path in (tmp_path / "oncall").iterdir()} == {"targets.yaml", "rules-1.yml"}
    with pytest.raises(OnCallError, match=r"no\.yml' cannot be read"):
        on_call.start(None, {}, [str(tmp_path / "no.yml")])


class Anything:
    """A stack that tells an operator nothing."""

    def targets(self) -> dict[str, object]:
        return {"services": {}}


def test_the_targets_name_the_copies_of_rule_files(tmp_path: Path) -> None:
    text = "name: a\nload: {shape: [{constant: 20/s}]}\nphases: {steady_state: 30s}\ntime_scale: 5\n"
    text += "operator: {rules: [secret.yml, other.yml]}\n"
    document = targets_document(Anything(), load_text(text).scenario, client_metrics="http://m", inbox={"token": "t"})  # type: ignore[arg-type]
    path = tmp_path / "targets.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    targets = load_targets(path)
    assert (targets.rules, targets.time_scale) == ((tmp_path / "rules-1.yml", tmp_path / "rules-2.yml"), 5.0)
    assert "secret" not in path.read_text(encoding="utf-8")


_LISTING = """
import os, signal
for number in sorted(os.listdir("/proc/self/fd"), key=int):
    try:
        print(os.readlink("/proc/self/fd/" + number))
    except FileNotFoundError:
        pass  # that of the listing itself
print("and that is all", flush=True)
signal.pause()
"""


def test_no_open_file_leads_to_the_record(tmp_path: Path) -> None:
    """What it prints is in the log, and it cannot tell where that lies."""
    clock, log = SystemClock(), tmp_path / "runs" / "secret-plan" / "logs" / "operator.log"
    log.parent.mkdir(parents=True)
    on_call = OnCall(tmp_path / "oncall", log, "r-1")
    on_call.start([sys.executable, "-c", _LISTING], {})
    deadline_ns = clock.now_ns() + 60 * NS_PER_S
    while not log.read_text(encoding="utf-8").endswith("all\n"):
        assert clock.now_ns() < deadline_ns
        clock.sleep(0.01)
    on_call.stop()
    told = log.read_text(encoding="utf-8")
    assert told.startswith("/dev/null\npipe:")
    assert "secret-plan" not in told


def test_the_last_words_of_an_operator_that_dies_are_logged(tmp_path: Path) -> None:
    log = tmp_path / "operator.log"
    on_call = OnCall(tmp_path / "oncall", log, "r-1")
    on_call.start([sys.executable, "-c", "import sys; print('one'); sys.exit('two')"], {})
    while on_call.poll() is None:
        SystemClock().sleep(0.01)
    on_call.stop()
    assert sorted(log.read_text(encoding="utf-8").split()) == ["one", "two"]
