"""Pipelines of real processes: what they build, what stops them, and what is left when they are stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import psutil
import pytest

from harness.pipeline.fingerprint import git
from harness.pipeline.loading import load_text
from harness.pipeline.playing import Options, play
from harness.pipeline.processes import StepProcess, Task
from harness.pipeline.reading import PipelineRecord
from harness.pipeline.registry import KINDS
from harness.pipeline.selection import Selection
from harness.pipeline.steps.build import sbom
from harness.score.check import Status
from harness.sweep import identify
from tests.integration.pipeline_project import gauntlet, project, step, told, write

pytestmark = [pytest.mark.e2e, pytest.mark.beside, pytest.mark.timeout(300)]  # dozens of processes, on whatever machine
ROOT = Path(__file__).resolve().parents[2]
RELEASE = """
name: release
stages:
  build:
    steps:
      - {id: wheel, uses: build.wheel}
      - {id: sbom, uses: build.sbom, with: {wheel: "${steps.wheel.file}"}}
      - {id: provenance, uses: build.provenance, with: {files: ["${steps.wheel.file}"], materials: ["${steps.sbom.wheel}"]}}
  test:
    needs: [build]
    steps: [{id: unit, uses: test.pytest, with: {paths: [tests]}}]
  ship:
    needs: [test]
    steps:
      - id: out
        uses: command
        with:
          argv: [sh, -c, 'echo "$TOKEN" > $GAUNTLET_STEP_DIR/log; echo sent with $TOKEN']
          environment: {TOKEN: "${env.TOKEN}"}
"""


DEFECTS = """
name: defects
stages:
  test:
    parallel: true
    steps:
      - {id: failing, uses: test.pytest, with: {paths: [tests/test_failing.py]}}
      - {id: crash, uses: test.pytest, with: {paths: [tests/test_crash.py]}}
      - {id: none, uses: test.pytest, with: {paths: [tests/test_none.py]}}
      - {id: skipped, uses: test.pytest, with: {paths: [tests/test_skipped.py]}}
  ship: {needs: [test], steps: [{id: out, uses: command, with: {argv: ["true"]}}]}
"""


def until(true: Callable[[], object], what: str, within_s: float = 60.0) -> None:
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def test_from_a_commit_to_a_wheel_with_its_papers_and_no_secret_in_any(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "a-secret-of-the-shop")
    folder = project(tmp_path)
    write(folder, "release.yaml", RELEASE)
    good = gauntlet(folder, "run", "release.yaml", expect=0)
    assert set(told(good).values()) == {"PASS"}
    _papers_are_right(good)
    assert not [path for path in (tmp_path / "runs").rglob("*") if path.is_file() and b"a-secret-of-the-shop" in path.read_bytes()]
    assert step(good, "out")["reason"] == "sent with ***"


def test_tests_that_fail_or_prove_nothing_are_stopped(tmp_path: Path) -> None:
    folder = project(tmp_path)
    write(folder, "defects.yaml", DEFECTS)
    for name, text in (("failing", "def test_it():\n    assert 2 + 2 == 5\n"), ("crash", "import nowhere\n"), ("none", "\n")):
        write(folder, f"tests/test_{name}.py", text)
    write(folder, "tests/test_skipped.py", "import pytest\n\n@pytest.mark.skip\ndef test_it(): ...\n")
    defects = gauntlet(folder, "run", "defects.yaml", expect=1)
    assert defects["reason"] == "test/failing: 1 of 1 tests fail: tests.test_failing::test_it; the first: assert (2 + 2) == 5"
    assert [f["path"] for f in step(defects, "failing")["findings"]] == ["tests.test_failing::test_it"]
    assert step(defects, "crash")["status"] == "FAIL" and "No module named 'nowhere'" in step(defects, "crash")["reason"]
    assert (step(defects, "none")["status"], step(defects, "none")["reason"]) == (
        "INCONCLUSIVE",
        "no test was collected: nothing is proved",
    )
    assert step(defects, "skipped")["reason"] == "all 1 tests were skipped: nothing is proved"
    assert step(defects, "out")["reason"] == "needs test, which FAILED (failing)"


def test_what_cannot_be_built_is_stopped_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "a-secret-of-the-shop")
    folder = project(tmp_path)
    write(folder, "release.yaml", RELEASE)
    (folder / "thing.py").unlink()
    (folder / "new.txt").write_text("not committed", encoding="utf-8")
    broken = gauntlet(folder, "run", "release.yaml", expect=1)
    assert broken["reason"].startswith("build/wheel: no wheel was built") and "thing.py" in broken["reason"]
    assert broken["git"]["dirty"] is True
    assert step(broken, "unit")["reason"] == "needs build, which FAILED (wheel)"


def _papers_are_right(good: dict[str, object]) -> None:
    run = Path(str(good["run_dir"]))
    bill = (run / "build/sbom/wheel.cdx.json").read_text(encoding="utf-8")
    assert sbom.invalid(bill) is None
    assert json.loads(bill)["metadata"]["component"]["purl"] == "pkg:pypi/thing@1.2"
    statement = json.loads((run / "build/provenance/provenance.json").read_text(encoding="utf-8"))
    wheel = step(good, "wheel")["outputs"]  # type: ignore[arg-type]
    assert statement["subject"] == [{"name": "thing-1.2-py3-none-any.whl", "digest": {"sha256": wheel["sha256"]}}]
    assert statement["predicate"]["buildDefinition"]["externalParameters"]["revision"] == good["git"]["sha"]  # type: ignore[index]
    suites = ET.parse(run / "junit.xml").getroot()
    assert (suites.get("tests"), suites.get("failures"), suites.get("errors"), suites.get("skipped")) == ("6", "0", "0", "0")
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "thing-1.2-py3-none-any.whl" in page and "<script" not in page and 'src="http' not in page


SLOW = "import time\n\ndef test_work(benchmark):\n    benchmark.pedantic(time.sleep, args=({seconds},), rounds=100)\n"
BENCHMARK = """
name: speed
stages:
  test:
    steps: [{id: speed, uses: test.benchmark, with: {paths: [tests/test_speed.py], baseline: baseline.json}}]
"""


def test_a_slow_version_is_stopped(tmp_path: Path) -> None:
    folder = project(tmp_path)
    write(folder, "speed.yaml", BENCHMARK)
    write(folder, "tests/test_speed.py", SLOW.format(seconds=0.001))
    first = gauntlet(folder, "run", "speed.yaml", expect=3)
    assert step(first, "speed")["reason"].startswith("there is no baseline baseline.json; keep ")
    (folder / "baseline.json").write_bytes(Path(step(first, "speed")["outputs"]["benchmarks"]).read_bytes())
    write(folder, "tests/test_speed.py", SLOW.format(seconds=0.02))
    slow = gauntlet(folder, "run", "speed.yaml", expect=1)
    assert slow["reason"].startswith("test/speed: compare.tests/test_speed.py::test_work: ")


AGAINST = """
name: speed
stages:
  test:
    steps:
      - id: speed
        uses: test.benchmark
        with:
          paths: [tests/test_speed.py]
          against: {commit}
          turns: 5
          args: [-p, "no:hypothesispytest", -p, "no:valkey", -p, "no:anyio", -p, "no:xdist", -p, "no:gauntlet"]  # starts in a quarter
"""


def test_a_version_that_is_slower_than_a_commit_is_stopped(tmp_path: Path) -> None:
    folder = project(tmp_path)
    quick = SLOW.replace("rounds=100", "rounds=20")
    write(folder, "tests/test_speed.py", quick.format(seconds=0.001))
    before = (git(folder, "rev-parse", "HEAD") or b"").decode().strip()
    write(folder, "tests/test_speed.py", quick.format(seconds=0.006))
    write(folder, "speed.yaml", AGAINST.format(commit="HEAD~1~1"))
    slow = gauntlet(folder, "run", "speed.yaml", expect=1)
    assert slow["reason"].startswith("test/speed: compare.tests/test_speed.py::test_work: ")
    place = Path(slow["run_dir"]) / "test/speed"
    assert json.loads((place / "comparison.json").read_text(encoding="utf-8"))["base"]["commit"] == before
    assert not (place / "tree").exists() and not (place / "tree.tar").exists()
    write(folder, "speed.yaml", AGAINST.format(commit="v0"))
    unknown = gauntlet(folder, "run", "speed.yaml", expect=3)
    assert step(unknown, "speed")["reason"].startswith("v0 cannot be checked out: ")


MOVES = """
name: moves
stages:
  one:
    steps:
      - {id: moves, uses: command, with: {argv: [git, commit, -qm, x, --allow-empty]}}
      - {id: judges, uses: command, with: {argv: ["true"]}}
"""


def test_a_checkout_that_moves_meanwhile_is_not_judged(tmp_path: Path) -> None:
    folder = project(tmp_path)
    write(folder, "moves.yaml", MOVES)
    moved = gauntlet(folder, "run", "moves.yaml", expect=3)
    assert told(moved) == {"moves": "PASS", "judges": "INCONCLUSIVE"}
    assert step(moved, "judges")["reason"].startswith(f"the checkout was at {moved['git']['sha'][:7]} when the run began, and is at ")


HANGS = """
name: hangs
stages:
  one: {{steps: [{{id: first, uses: command, with: {{argv: [sh, -c, "echo once >> {flag}/first"]}}}}]}}
  two:
    needs: [one]
    steps:
      - id: long
        uses: command
        with: {{argv: [sh, -c, "test -e {flag}/go && exit 0; setsid sleep 600 & echo $! > {flag}/pid; wait"]}}
"""


def gone(pid_file: Path) -> bool:
    return identify(int(pid_file.read_text())) is None  # what has ended, and nobody has waited for, is gone, too


def test_what_is_killed_can_be_read_and_resumed(tmp_path: Path) -> None:
    folder, flag = project(tmp_path / "p"), tmp_path
    write(folder, "hangs.yaml", HANGS.format(flag=flag))
    engine = subprocess.Popen([sys.executable, "-m", "harness.cli", "pipeline", "run", "hangs.yaml"], cwd=folder, stderr=subprocess.DEVNULL)
    until(lambda: (flag / "pid").exists() and (flag / "pid").read_text().strip(), "the step begins")
    engine.kill()
    engine.wait()
    until(lambda: gone(flag / "pid"), "everything that the killed run had started ends")
    (run,) = (folder / "runs/pipelines/hangs").iterdir()
    cut = gauntlet(folder, "show", str(run), expect=0)
    assert (cut["verdict"], cut["ending"], told(cut)) == ("INCONCLUSIVE", "", {"first": "PASS", "long": "started"})
    assert cut["reason"] == "two/long: it was at work when the run ended without a word: killed"
    (flag / "go").touch()
    resumed = gauntlet(folder, "run", "hangs.yaml", "--resume", expect=0)
    assert step(resumed, "first")["taken_from"] == str(run)
    assert (flag / "first").read_text() == "once\n"


def test_an_interrupted_run_ends_what_it_started(tmp_path: Path) -> None:
    folder, flag = project(tmp_path / "p"), tmp_path
    write(folder, "hangs.yaml", HANGS.format(flag=flag))
    argv = [sys.executable, "-m", "harness.cli", "pipeline", "run", "hangs.yaml", "--json"]
    engine = subprocess.Popen(argv, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    until(lambda: (flag / "pid").exists() and (flag / "pid").read_text().strip(), "the step begins")
    engine.send_signal(signal.SIGINT)
    document = json.loads(engine.communicate(timeout=100)[0])
    assert (engine.returncode, document["exit_code"], document["ending"]) == (130, 130, "interrupted")
    assert told(document) == {"first": "PASS", "long": "stopped"}
    assert gone(flag / "pid")


def test_who_does_not_heed_is_ended_with_all_that_went_its_own_way(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    deaf = f"trap '' TERM; setsid sleep 600 & echo $! > {pid}; while true; do wait; done"
    task = Task(
        kind="command",
        module=KINDS["command"],
        given={"argv": ["sh", "-c", deaf]},
        directory=tmp_path / "stage" / "deaf",
        answer=tmp_path / "stage" / "deaf.json",
        log=tmp_path / "stage" / "deaf.log",
        root=tmp_path,
        outputs={},
        secrets=(),
        say=lambda _: None,
    )
    work = StepProcess(task, grace_s=0.2)
    until(lambda: pid.exists() and pid.read_text().strip(), "the step begins")
    work.stop()
    until(lambda: work.poll() is not None, "it ends")
    result = work.poll()
    assert result is not None and result.status is Status.INCONCLUSIVE
    assert "not over within the grace: ended" in task.log.read_text(encoding="utf-8")
    assert gone(pid)


def test_a_kind_that_goes_wrong_itself_is_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "wrong", "tests.integration.pipeline_kinds")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    hows = ("raises", "dies", "claims", "lacks")
    steps = "\n".join(f"      - {{id: {how}, uses: wrong, with: {{how: {how}}}}}" for how in hows)
    record = _play(f"name: wrong\nstages:\n  all:\n    parallel: true\n    steps:\n{steps}\n", tmp_path)
    reasons = {one.id: (one.status, one.reason) for one in record.steps}
    assert {status for status, _ in reasons.values()} == {Status.INCONCLUSIVE}
    assert reasons["raises"][1] == "wrong crashed: RuntimeError: a defect of the kind itself"
    assert reasons["dies"][1] == "wrong crashed (killed by signal 9) without an answer; last lines: the last words"
    assert reasons["claims"][1] == "its evidence is not there: proof"
    assert "'nowhere' is not installed" in reasons["lacks"][1]
    marked = [p for p in psutil.process_iter() if _environment(p).get("GAUNTLET_PIPELINE_STEP", "").startswith(str(record.path))]
    assert marked == []


def _play(text: str, folder: Path) -> PipelineRecord:
    said: list[str] = []
    record = play(load_text(text, str(folder / "p.yaml")), Options(folder / "runs", Selection(), said.append, environment=dict(os.environ)))
    assert said == ["no git repository: nothing can be taken from an earlier run, and nothing says what was built"]
    return record


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except psutil.Error:
        return {}
