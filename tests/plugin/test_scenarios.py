"""Scenario files as tests, and runs from within tests: the command line's own verdict."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.plugin.conftest import ROOT, Session

pytest_plugins = ["pytester"]

SCENARIO = """name: three-ends
hypothesis: Users are served; of two probes one says no, and one cannot be asked.
stack: {{use: external, services: {{gateway: {{url: "{url}"}}}}}}
operator: {{enabled: false}}
load:
  journeys: {{home: {{get: "/"}}}}
  mix: {{home: 1}}
  shape: [{{constant: 30/s}}]
phases: {{warmup: 1s, steady_state: 3s, recovery: 2s}}
probes:
  - {{id: cannot-be-asked, mode: continuous, every: 1s, command: [no-such-program]}}
  - {{id: says-no, mode: continuous, every: 1s, command: ["false"]}}
objectives:
  steady_state: {{availability: ">= 90%"}}
  recovery: {{availability: ">= 90%"}}
"""

USES = """
import pytest
from harness.testing.running import CheckFailedError

def test_it(gauntlet_run):
    run = gauntlet_run("three.yaml", seed=7)
    assert (run.verdict, run.exit_code) == ("FAIL", 1)
    assert run.document["run"]["seed"] == 7 and (run.run_dir / "junit.xml").is_file()
    assert run.assert_check("validity.record").status == "PASS"
    run.assert_passes()

def test_a_file_that_is_wrong(gauntlet_run):
    gauntlet_run("wrong.yaml").assert_passes()
"""


@pytest.mark.e2e
@pytest.mark.beside
@pytest.mark.timeout(300)
def test_a_run_from_a_test_and_its_checks_as_tests(session: Session, service: str, pytester: pytest.Pytester) -> None:
    scenario = SCENARIO.format(url=service)
    files = {"three.yaml": scenario, "wrong.yaml": scenario.replace("mix:", "mx:")}
    ended = session("-n2", "--gauntlet-scenario=three.yaml", "--junitxml=junit.xml", "test_uses.py", files=files, test_uses=USES)
    told = ended.stdout.str()
    rows = {line.split(" - ")[0] for line in told.splitlines() if line.startswith(("PASSED", "FAILED", "ERROR", "SKIPPED"))}
    verdicts = [json.loads(file.read_text(encoding="utf-8")) for file in pytester.path.glob("runs/three-ends/*/verdict.json")]
    assert len(verdicts) == 2, "one run for the test, one for all of the checks, whichever worker had them"
    words = {"PASS": "PASSED", "FAIL": "FAILED", "INCONCLUSIVE": "ERROR"}  # a slow machine changes which of them a check is
    (checks,) = [run["checks"] for run in verdicts if run["run"]["seed"] == 1]
    told_of = {row.partition(" ")[2] for row in rows}
    tested = [check for check in checks if f"three.yaml::{check['name']}" in told_of]
    assert all(check["name"].startswith(("validity.delivered_load", "safety.")) for check in checks if check not in tested)
    expected = {f"{words[check['status']]} three.yaml::{check['name']}" for check in tested} | {"FAILED three.yaml::verdict"}
    assert expected == {row for row in rows if "three.yaml::" in row}
    assert {"ERROR three.yaml::probe.cannot-be-asked", "FAILED three.yaml::probe.says-no", "PASSED three.yaml::validity.record"} <= expected
    assert {"FAILED test_uses.py::test_it", "ERROR test_uses.py::test_a_file_that_is_wrong"} <= rows
    assert "INCONCLUSIVE: probe.cannot-be-asked = 0 (limit <= 0, n=" in told and "_pytest" not in told
    assert "wrong.yaml:7:3: unknown key 'mx'" in told, told
    assert "FAIL: " in told and "probe.says-no = " in told and "repeat: gauntlet run" in told
    report = (pytester.path / "junit.xml").read_text(encoding="utf-8")
    assert f'errors="{sum(row.startswith("ERROR") for row in rows)}" failures="3"' in report


def test_nothing_is_run_to_collect_and_a_wrong_file_says_where(session: Session, service: str, pytester: pytest.Pytester) -> None:
    scenario = SCENARIO.format(url=service)
    ended = session("--collect-only", "-q", files={"a.gauntlet.yaml": scenario, "b.gauntlet.yaml": scenario.replace("90%", "9o%")})
    told = ended.stdout.str()
    assert "a.gauntlet.yaml::verdict\n" in told and "a.gauntlet.yaml::probe.cannot-be-asked\n" in told
    assert "b.gauntlet.yaml:14:" in told, told
    assert not (pytester.path / "runs").exists()


ENDED = """
from harness.testing.running import ScenarioRun
from harness.testing.scenario_items import SESSION

def pytest_collection_finish(session):
    ended = ScenarioRun("a.gauntlet.yaml", 4, {"verdict": None, "reason": "no port", "exit_code": 4})
    for item in session.items:
        session.config.stash[SESSION]._runs[item.path] = ended
"""


def test_collected_checks_of_a_run_that_did_not_start(session: Session, service: str) -> None:
    files = {"a.gauntlet.yaml": SCENARIO.format(url=service), "conftest.py": ENDED}
    ended = session(files=files)
    ended.assert_outcomes(errors=1, skipped=8)
    assert "a.gauntlet.yaml: no verdict (exit code 4): no port" in ended.stdout.str() and ended.ret == 1
    ended = session("-k", "not verdict", files=files)
    ended.assert_outcomes(errors=8)  # nobody else would say that nothing was judged


SLEEPS = """
import os, time
def test_it(mock_llm, gauntlet_run):
    print("mock", mock_llm._server.describe()["pid"], flush=True)
    gauntlet_run("three.yaml")
"""


@pytest.mark.e2e
@pytest.mark.beside
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill"])
def test_whatever_ends_the_tests_ends_what_they_started(how: int, service: str, tmp_path: Path) -> None:
    (tmp_path / "three.yaml").write_text(SCENARIO.format(url=service), encoding="utf-8")
    (tmp_path / "test_it.py").write_text(SLEEPS, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    environment.pop("PYTEST_XDIST_WORKER", None)
    tests = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-s", "-p", "no:cacheprovider"], cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL
    )
    try:
        started = _descendants_once(tests, tmp_path)
        tests.send_signal(how)
        tests.wait(60)
        _, alive = psutil.wait_procs(started, timeout=45)
        assert not alive, alive
    finally:
        if tests.poll() is None:
            tests.kill()
            tests.wait()
    (run,) = (tmp_path / "runs" / "three-ends").iterdir()
    ends = [line for line in (run / "events.jsonl").read_text(encoding="utf-8").splitlines() if '"ended"' in line]
    assert ends, "the run came to its end in order"


def _descendants_once(tests: subprocess.Popen[bytes], place: Path) -> list[psutil.Process]:
    """All of them, once the load of the run has begun."""
    for _ in range(600):
        events = list(place.glob("runs/*/*/events.jsonl"))
        if events and '"begun"' in events[0].read_text(encoding="utf-8"):
            found = psutil.Process(tests.pid).children(recursive=True)
            assert len(found) >= 3, found
            return found
        assert tests.poll() is None, "pytest ended by itself"
        psutil.wait_procs([], timeout=0)
        _pause()
    raise AssertionError("no run within a minute")


def _pause() -> None:
    from harness.record.clock import SystemClock

    SystemClock().sleep(0.1)
