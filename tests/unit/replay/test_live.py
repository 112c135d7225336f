"""What a live run of a mutant is, and what its verdict says of the mutant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from harness.gate import Verdict
from harness.judging import judge_run
from harness.record.store import RunDirectory
from harness.replay import live
from harness.replay.hearing import Thoughts
from harness.replay.live import AROUND_S, Trial, assembled, carry_out, main, plan, with_mutant
from harness.replay.mutants import Mutant
from harness.scenario.loader import load_text
from harness.score.check import Status
from tests.unit.ops.world import Ear, World
from tests.unit.replay.recorded import SCENARIO, Run

SWITCH = Mutant("strategy", "switch_provider")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return Run(tmp_path_factory.mktemp("recorded")).record()


def test_each_strategy_that_was_used_has_one_run(recorded: RunDirectory) -> None:
    trials, unreached = plan([recorded.path, recorded.path])
    assert [(t.mutant, t.name, t.lasts_s) for t in trials] == [(SWITCH, "recorded", 85.0 + AROUND_S)]
    assert Mutant("strategy", "restart") in unreached
    assert "expect.broken.alert" in trials[0].passing


def test_a_run_of_another_operator_is_no_yardstick(tmp_path: Path) -> None:
    run = Run(tmp_path, scenario=SCENARIO + "operator: {command: [agent, '{targets}']}\n").record()
    assert plan([run.path])[0] == ()


def test_the_scenario_is_the_same_but_for_who_is_on_call() -> None:
    before, after = yaml.safe_load(SCENARIO), yaml.safe_load(with_mutant(SCENARIO, SWITCH))
    assert after.pop("operator")["command"][1:] == ["-m", "harness.replay.live", "strategy", "switch_provider", "{targets}"]
    assert after == before
    assert load_text(with_mutant(SCENARIO, SWITCH), "mutant.yaml").scenario.operator.command is not None


def tried(recorded: RunDirectory, out: Path, statuses: Mapping[str, Status]) -> live.Tried:
    """As if the run had ended so: what is not named passes."""
    (trial,), _ = plan([recorded.path])
    known = judge_run(recorded.path).verdict

    def play(file: Path, _: Path) -> Verdict:
        assert "harness.replay.live" in file.read_text(encoding="utf-8")
        results = [replace(r, status=statuses.get(r.name, Status.PASS)) for r in known.results]
        return replace(known, results=tuple(results))

    return carry_out(trial, out, play)


def test_what_fails_now_has_noticed(recorded: RunDirectory, tmp_path: Path) -> None:
    found = tried(recorded, tmp_path, {"expect.broken.alert": Status.FAIL})
    assert (found.noticed_by, found.untold) == (("expect.broken.alert",), "")
    assert found.to_json()["fate"] == "killed"
    assert tried(recorded, tmp_path, {}).to_json()["fate"] == "survived"
    assert tried(recorded, tmp_path, {"expect.broken.alert": Status.INCONCLUSIVE}).to_json()["fate"] == "survived"


def test_a_run_without_valid_evidence_tells_nothing(recorded: RunDirectory, tmp_path: Path) -> None:
    validity = next(r.name for r in judge_run(recorded.path).verdict.results if r.name.startswith("validity."))
    found = tried(recorded, tmp_path, {validity: Status.INCONCLUSIVE, "expect.broken.alert": Status.FAIL})
    assert (found.to_json()["fate"], found.noticed_by) == ("untold", ())
    trial = Trial(SWITCH, tmp_path, SCENARIO, "recorded", frozenset({"a"}), 1.0)
    assert carry_out(trial, tmp_path, lambda *_: None).untold == "the run did not start"


def test_the_mutant_on_call_decides_all_and_does_not_do_that(tmp_path: Path) -> None:
    world = World(tmp_path)
    ear = Ear(world)
    operator = assembled(SWITCH, world.targets, ear, None)
    for _ in range(60):
        if world.t_s == 30:
            world.slow["llm"] = 4.0
        operator.round(world.step())
    assert (ear.of("action"), len(ear.of("firing")) > 0) == ([], True)


def test_of_a_long_watch_little_is_kept() -> None:
    thoughts = Thoughts(kept=1)
    for _ in range(5):
        thoughts.begin()
    assert len(thoughts.rounds) == 1


@pytest.mark.parametrize("argv", [[], ["strategy", "pray", "t.yaml"], ["blind", "rag_requests_total", "t.yaml"]])
def test_a_mutant_that_cannot_be_on_call_is_a_matter_of_usage(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["live", *argv]) == 2
    assert "usage: python -m harness.replay.live rule|strategy PART TARGETS.yaml" in capsys.readouterr().err
