"""What a run is compared with is settled before it starts, counts at its end, and is refused where it is unfit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from harness import run as life
from harness.baselines import shelf
from harness.lifecycle import host
from harness.lifecycle.settled import Settled
from harness.record import store
from harness.record.store import RunDirectory
from tests.two_versions import HOST
from tests.unit.test_comparing import SCENARIO, gauntlet, run

LOADED = SCENARIO.replace("25/s", "20/s")
RELATIVE = SCENARIO.replace('">= 90%"', '">= 90%", latency_p95: "<= +10%"')


@pytest.fixture
def scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the scenario that the records by hand are of; runs of it would be on their machine."""
    monkeypatch.setattr(host, "facts", lambda: HOST)
    file = tmp_path / "by-hand.yaml"
    file.write_text(SCENARIO)
    return file


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was started."""
    found: list[Any] = []

    def execute(*given: Any) -> life.Finished:
        found.append(given)
        raise AssertionError("nothing was to start")

    monkeypatch.setattr(life, "execute", execute)
    return found


def unfit(tmp_path: Path, how: str) -> Path:
    if how == "not there":
        return tmp_path / "none"
    if how == "of another machine":
        return run(tmp_path, "x", 1, 1, host={**HOST, "cpus": 2})
    path = run(tmp_path, "x", 1, 1)
    (path / "requests" / "load.seg").unlink()
    return path


@pytest.mark.parametrize(
    ("how", "why"),
    [("not there", "no run.json here"), ("of another machine", "different machines"), ("without its requests", "missing from the record")],
)
def test_an_unfit_baseline_is_refused_before_anything_starts(
    how: str, why: str, tmp_path: Path, scenario: Path, started: list[Any]
) -> None:
    found = gauntlet("run", scenario, "--baseline", unfit(tmp_path, how), "--out", tmp_path / "runs")
    assert (found.exit_code, started) == (2, []), found.output
    assert why in found.output
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("baseline", ["given", "stored"])
def test_a_baseline_that_was_asked_something_else_is_refused(baseline: str, tmp_path: Path, scenario: Path, started: list[Any]) -> None:
    base, kept = run(tmp_path, "a", 1, 1), tmp_path / "baselines"
    assert gauntlet("baseline", "set", base, "--baselines", kept).exit_code == 0
    scenario.write_text(LOADED)
    found = gauntlet("run", scenario, "--baseline", base if baseline == "given" else "stored", "--baselines", kept)
    assert (found.exit_code, started) == (2, [])
    assert "differ in `load`" in found.output
    assert ("gauntlet baseline set RUN --anchor" in found.output) == (baseline == "stored")


def test_that_nothing_is_stored_yet_is_told_at_the_start(tmp_path: Path, scenario: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run goes on, so that there is one to be stored; a baseline that is stored meanwhile is not what it is compared with."""
    own, other, kept = run(tmp_path, "b", 2, 2), run(tmp_path, "a", 1, 1), tmp_path / "baselines"

    def execute(*_given: Any) -> life.Finished:
        assert gauntlet("baseline", "set", other, "--baselines", kept).exit_code == 0
        return life.Finished(RunDirectory(own), None)

    monkeypatch.setattr(life, "execute", execute)
    found = gauntlet("run", scenario, "--baseline", "stored", "--baselines", kept)
    assert found.exit_code == 3
    assert found.output.startswith(f"{scenario}: INCONCLUSIVE at best: {kept}: no baseline of this scenario on this machine")
    assert not (own / "comparison.json").exists()


def test_a_baseline_that_is_stored_meanwhile_changes_nothing(tmp_path: Path, scenario: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what was stored at the start it is twice as slow; by what was stored while it ran, it is as before."""
    kept = tmp_path / "baselines"
    base, slow, own = (run(tmp_path, n, s, h, slower=f, sha=n) for n, s, h, f in (("a", 1, 1, 1.0), ("b", 2, 2, 2.0), ("c", 3, 3, 2.0)))
    assert gauntlet("baseline", "set", base, "--baselines", kept).exit_code == 0

    def execute(_loaded: Any, options: life.Options) -> life.Finished:
        document = json.loads((own / "run.json").read_text())
        (own / "run.json").write_text(json.dumps({**document, "baseline": options.baseline}))
        assert gauntlet("baseline", "set", slow, "--anchor", "--baselines", kept).exit_code == 0
        return life.Finished(RunDirectory(own), None)

    monkeypatch.setattr(life, "execute", execute)
    at_first = shelf(kept, store.read(own)).current
    found = gauntlet("run", scenario, "--baseline", "stored", "--baselines", kept)
    assert found.exit_code == 1, found.output
    assert shelf(kept, store.read(own)).current != at_first
    verdict = (own / "verdict.json").read_bytes()
    assert [gauntlet(word, own).exit_code for word in ("judge", "show", "report")] == [1, 0, 0]
    assert (own / "verdict.json").read_bytes() == verdict, "judged again, it is compared with the same"
    assert "FAIL" in gauntlet("show", own).output
    assert at_first is not None
    shutil.rmtree(at_first)
    assert (gauntlet("judge", own).exit_code, "not there any more" in gauntlet("show", own).output) == (3, True)


def test_that_there_was_nothing_to_compare_with_is_not_forgotten(tmp_path: Path) -> None:
    own = run(tmp_path, "a", 1, 1, baseline=Settled(None, reason="none there yet").document)
    found = gauntlet("judge", own)
    assert (found.exit_code, "none there yet" in found.output) == (3, True)


def test_what_is_gone_by_the_end_is_nothing_to_be_compared_with(tmp_path: Path, scenario: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base, own = run(tmp_path, "a", 1, 1), run(tmp_path, "b", 2, 2)

    def execute(*_given: Any) -> life.Finished:
        (base / "run.json").unlink()
        return life.Finished(RunDirectory(own), None)

    monkeypatch.setattr(life, "execute", execute)
    found = gauntlet("run", scenario, "--baseline", base)
    assert (found.exit_code, "cannot be read any more" in found.output) == (3, True), found.output


def test_relative_objectives_without_a_baseline_are_told_at_the_start(
    tmp_path: Path, scenario: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario.write_text(RELATIVE)
    own = run(tmp_path, "a", 1, 1)
    monkeypatch.setattr(life, "execute", lambda *_given: life.Finished(RunDirectory(own), None))
    assert "cannot be decided without one; name it with --baseline" in gauntlet("run", scenario).output
