"""What runs when, what does not run and why, on a fake clock."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.pipeline import reading, words
from harness.pipeline.report.document import exit_code
from harness.pipeline.selection import Selection
from harness.pipeline.step import StepResult
from harness.score.check import Status
from harness.testing import FakeClock
from tests.unit.pipeline.plays import FAIL, PASS, UNKNOWN, Played, play

CHAIN = """
name: chain
stages:
  build:
    steps:
      - {id: one, uses: command, with: {argv: [a]}}
      - {id: two, uses: command, with: {argv: ["${steps.one.directory}"]}}
  test: {needs: [build], steps: [{id: unit, uses: command, with: {argv: [b]}}]}
  scan: {needs: [build], steps: [{id: code, uses: command, with: {argv: [c]}}]}
  ship: {needs: [test, scan], steps: [{id: out, uses: command, with: {argv: [d]}}]}
"""
SIDE_BY_SIDE = """
name: side
stages:
  all:
    parallel: true
    steps:
      - {id: one, uses: command, with: {argv: [a]}}
      - {id: two, uses: command, with: {argv: [b]}}
      - {id: after, uses: command, with: {argv: ["${steps.one.directory}"]}}
"""
ONE = StepResult(Status.PASS, "fine", outputs={"directory": "/there"})


def about(seconds: float) -> object:
    return pytest.approx(seconds, abs=0.11)


def test_stages_wait_for_what_they_need_and_run_side_by_side_else(tmp_path: Path) -> None:
    run = play(CHAIN, tmp_path, {"one": Played(ONE, 2.0), "unit": Played(PASS, 3.0), "code": Played(PASS, 1.0)})
    assert run.began == {"one": about(0), "two": about(2), "unit": about(3), "code": about(3), "out": about(6)}
    assert run.given["two"] == {"argv": ["/there"]}
    assert (run.record.status, run.record.ending) == (Status.PASS, words.COMPLETED)
    assert [stage.seconds for stage in run.record.stages] == [about(3), about(3), about(1), about(1)]
    assert run.record.reason == "all 5 steps of 4 stages pass"


def test_steps_of_a_parallel_stage_wait_for_what_they_refer_to_alone(tmp_path: Path) -> None:
    run = play(SIDE_BY_SIDE, tmp_path, {"one": Played(ONE, 2.0), "two": Played(PASS, 5.0)})
    assert run.began == {"one": about(0), "two": about(0), "after": about(2)}


def test_what_did_not_run_says_why(tmp_path: Path) -> None:
    run = play(CHAIN, tmp_path, {"one": Played(ONE), "code": Played(FAIL)})
    assert run.told() == {"one": "PASS", "two": "PASS", "unit": "PASS", "code": "FAIL", "out": "not_run: needs scan, which FAILED (code)"}
    assert (run.record.status, run.record.reason) == (Status.FAIL, "scan/code: it is broken")
    assert exit_code(run.record) == 1
    within = play(CHAIN, tmp_path / "b", {"one": Played(UNKNOWN)})
    assert within.told()["two"] == "not_run: needs one, which is INCONCLUSIVE"
    assert within.told()["out"].startswith("not_run: needs test, which did not run (unit: needs build, which is INCONCLUSIVE (one)")
    assert (within.record.status, exit_code(within.record)) == (Status.INCONCLUSIVE, 3)


def test_an_optional_step_is_a_warning_at_most_and_stops_nothing(tmp_path: Path) -> None:
    text = CHAIN.replace("{id: code, uses", "{id: code, optional: true, uses")
    run = play(text, tmp_path, {"one": Played(ONE), "code": Played(FAIL)})
    assert run.told()["out"] == "PASS"
    assert (run.record.status, exit_code(run.record), exit_code(run.record, strict=True)) == (Status.WARN, 0, 1)


def test_a_run_of_optional_steps_of_which_none_passed_proves_nothing(tmp_path: Path) -> None:
    text = SIDE_BY_SIDE.replace("uses: command", "optional: true, uses: command")
    script = {"one": Played(UNKNOWN), "two": Played(FAIL), "after": Played(FAIL)}
    record = play(text, tmp_path, script).record
    assert (record.status, record.reason) == (Status.INCONCLUSIVE, "no step passed")


def test_a_run_of_no_stage_proves_nothing(tmp_path: Path) -> None:
    record = play(CHAIN, tmp_path, selection=Selection(stages=("build",), start="ship")).record
    assert (record.status, record.reason.partition(":")[0]) == (Status.INCONCLUSIVE, "nothing was asked for")


def test_a_reference_to_what_an_optional_step_did_not_hand_on_is_no_pass(tmp_path: Path) -> None:
    text = CHAIN.replace("{id: one, uses", "{id: one, optional: true, uses")
    run = play(text, tmp_path, {"one": Played(FAIL)})
    two = next(step for step in run.record.steps if step.id == "two")
    assert (two.status, two.reason) == (Status.INCONCLUSIVE, "${steps.one.directory} is not there")


def test_a_step_that_takes_too_long_is_asked_and_then_ended(tmp_path: Path) -> None:
    text = CHAIN.replace("{id: unit, uses", "{id: unit, timeout: 10s, uses").replace("{id: code, uses", "{id: code, timeout: 10s, uses")
    script = {"one": Played(ONE), "unit": Played(PASS, 1e6, stops_s=2.0), "code": Played(PASS, 1e6, stops_s=None)}
    run = play(text, tmp_path, script)
    assert run.told() | {"one": "", "two": ""} == {
        "one": "",
        "two": "",
        "unit": "INCONCLUSIVE",
        "code": "INCONCLUSIVE",
        "out": "not_run: needs test, which is INCONCLUSIVE (unit)",
    }
    steps = {step.id: step for step in run.record.steps}
    assert steps["unit"].reason == "no answer within its timeout of 10 s: ended"
    assert (script["unit"].ended, script["code"].ended) == (False, True)
    assert (steps["unit"].seconds, steps["code"].seconds) == (about(12), about(10 + 45))


def test_an_interrupted_run_stops_what_works_and_keeps_what_passed(tmp_path: Path) -> None:
    def stopped(clock: FakeClock) -> str | None:
        return "SIGINT" if clock.now_ns() > 103.5e9 else None

    script = {"one": Played(ONE), "unit": Played(PASS, 100.0), "code": Played(FAIL, 1.0)}
    run = play(CHAIN, tmp_path, script, stopped=stopped)
    assert run.told() == {
        "one": "PASS",
        "two": "PASS",
        "unit": "stopped: interrupted",
        "code": "FAIL",
        "out": "not_run: needs scan, which FAILED (code)",
    }
    assert script["unit"].asked
    assert (run.record.ending, run.record.status, exit_code(run.record)) == ("interrupted", Status.FAIL, 130)


def test_a_pass_is_no_pass_of_a_run_that_was_cut(tmp_path: Path) -> None:
    """Whatever prefix of the events is left, the run reads, and none but the whole passes."""
    play(CHAIN, tmp_path, {"one": Played(ONE)})
    lines = (tmp_path / "events.jsonl").read_bytes().splitlines(keepends=True)
    for length in range(len(lines)):
        (tmp_path / "events.jsonl").write_bytes(b"".join(lines[:length]) + lines[length][:7])
        assert reading.read(tmp_path).status is Status.INCONCLUSIVE, length
    (tmp_path / "events.jsonl").write_bytes(b"".join(lines))
    assert reading.read(tmp_path).status is Status.PASS


def test_what_was_killed_says_so(tmp_path: Path) -> None:
    play(CHAIN, tmp_path, {"one": Played(ONE)})
    lines = (tmp_path / "events.jsonl").read_bytes().splitlines(keepends=True)
    cut = next(n for n, line in enumerate(lines) if b'"two"' in line and b'"started"' in line)
    (tmp_path / "events.jsonl").write_bytes(b"".join(lines[: cut + 1]))
    record = reading.read(tmp_path)
    assert {s.id: s.reason for s in record.steps if s.id in ("one", "two", "unit")} == {
        "one": "fine",
        "two": reading.KILLED,
        "unit": reading.NEVER,
    }
    assert record.reason == f"build/two: {reading.KILLED}"
