"""Which answers a run takes from earlier ones: those of steps that passed with the same inputs, and no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.pipeline.earlier import Earlier
from harness.pipeline.selection import Selection
from harness.score.check import Status
from tests.unit.pipeline.plays import FAIL, PASS, UNKNOWN, Played, Run, play
from tests.unit.pipeline.test_engine import CHAIN, ONE

RESUME = Selection(resume=True)


def first(folder: Path, **script: Played) -> Run:
    return play(CHAIN, folder, {"one": Played(ONE), **script})


def test_resume_runs_what_did_not_pass_and_what_never_ran(tmp_path: Path) -> None:
    before = first(tmp_path / "1", code=Played(FAIL))
    again = play(CHAIN, tmp_path / "2", selection=RESUME, earlier=(before.record,))
    assert list(again.began) == ["code", "out"]
    assert (again.record.status, {s.id for s in again.record.steps if s.taken_from}) == (Status.PASS, {"one", "two", "unit"})
    third = play(CHAIN, tmp_path / "3", selection=RESUME, earlier=(again.record, before.record))
    assert list(third.began) == []
    assert {s.taken_from for s in third.record.steps} == {str(before.record.path), str(again.record.path)}


@pytest.mark.parametrize("result", [FAIL, UNKNOWN])
def test_what_did_not_pass_is_never_taken(tmp_path: Path, result: object) -> None:
    before = first(tmp_path / "1", unit=Played(result))  # type: ignore[arg-type]
    assert "unit" in play(CHAIN, tmp_path / "2", selection=RESUME, earlier=(before.record,)).began


def test_a_newer_failure_with_the_same_inputs_is_in_the_way_of_an_older_pass(tmp_path: Path) -> None:
    older, newer = first(tmp_path / "1"), first(tmp_path / "2", unit=Played(FAIL))
    assert "unit" in play(CHAIN, tmp_path / "3", selection=RESUME, earlier=(newer.record, older.record)).began


def test_other_inputs_run_again_and_so_does_what_follows_from_them(tmp_path: Path) -> None:
    before = first(tmp_path / "1")
    changed = play(CHAIN, tmp_path / "2", {"one": Played(ONE)}, selection=RESUME, earlier=(before.record,), inputs="other")
    assert list(changed.began) == ["one", "two", "unit", "code", "out"]
    edited = play(CHAIN.replace("argv: [a]", "argv: [z]"), tmp_path / "3", {"one": Played(ONE)}, selection=RESUME, earlier=(before.record,))
    assert list(edited.began) == ["one"]


def test_a_run_without_resume_takes_nothing(tmp_path: Path) -> None:
    before = first(tmp_path / "1")
    assert len(play(CHAIN, tmp_path / "2", {"one": Played(ONE)}, earlier=(before.record,)).began) == 5


def test_a_step_that_always_runs_does(tmp_path: Path) -> None:
    text = CHAIN.replace("{id: code, uses", "{id: code, always: true, uses")
    before = play(text, tmp_path / "1", {"one": Played(ONE)})
    assert list(play(text, tmp_path / "2", selection=RESUME, earlier=(before.record,)).began) == ["code"]


def test_one_stage_needs_a_pass_of_what_it_needs(tmp_path: Path) -> None:
    alone = play(CHAIN, tmp_path / "1", selection=Selection(stages=("test",)))
    assert alone.began == {}
    assert alone.told()["unit"].startswith("not_run: needs build, which did not run (one: not selected, and no earlier run passed it")
    assert (alone.record.status, alone.told()["out"]) == (Status.INCONCLUSIVE, "-: not selected")
    built = play(CHAIN, tmp_path / "2", {"one": Played(ONE)}, selection=Selection(stages=("build",)))
    assert (built.record.status, built.record.reason) == (Status.PASS, "all 2 steps of 1 stage pass; not asked for: test, scan, ship")
    tested = play(CHAIN, tmp_path / "3", selection=Selection(stages=("test",)), earlier=(built.record, alone.record))
    assert (list(tested.began), tested.record.status) == (["unit"], Status.PASS)


def test_from_runs_the_stage_and_all_that_depend_on_it(tmp_path: Path) -> None:
    before = first(tmp_path / "1")
    again = play(CHAIN, tmp_path / "2", selection=Selection(start="scan"), earlier=(before.record,))
    assert list(again.began) == ["code", "out"]
    assert again.record.status is Status.PASS


def test_a_pass_whose_evidence_is_gone_is_not_taken(tmp_path: Path) -> None:
    kept = tmp_path / "1" / "build" / "one" / "proof"
    kept.parent.mkdir(parents=True)
    kept.write_text("yes", encoding="utf-8")
    before = first(tmp_path / "1", one=Played(type(PASS)(Status.PASS, "fine", evidence={"proof": kept}, outputs={"directory": "/there"})))
    (one,) = [step for step in before.record.steps if step.id == "one"]
    found = Earlier([before.record]).passed("one", one.fingerprint)
    assert found is not None and (one.evidence, found.run) == ({"proof": "build/one/proof"}, before.record.path)
    kept.unlink()
    assert Earlier([before.record]).passed("one", one.fingerprint) is None


def test_how_long_it_takes_is_told_by_what_passed(tmp_path: Path) -> None:
    runs = [first(tmp_path / str(n), unit=Played(FAIL if n == 4 else PASS, float(n))).record for n in (1, 2, 3, 4)]
    about_s = Earlier(runs).about_s("unit")
    assert about_s is not None and abs(about_s - 2.0) < 0.11
    assert Earlier(runs).about_s("none") is None
