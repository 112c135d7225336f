"""What is missing is noticed where a scenario asks for it, and survives where none does."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import harness
from harness.cli import cli
from harness.ops.monitoring.alerts import FOR_S
from harness.ops.monitoring.signals import WATCHED
from harness.record.store import RunDirectory
from harness.replay import mutants as made
from harness.replay.mutants import LOOKS, Mutant, mutants
from harness.replay.mutation import Fate, Mutation, Told, Whole, mutate, wordless
from harness.replay.replaying import Source, replay
from tests.unit.replay.recorded import SCENARIO, Run

SOURCE = Path(harness.__file__).parent / "ops"
OPS = sorted(SOURCE.rglob("*.py"))

CRASH = (
    SCENARIO.replace("llm.slow_first_token", "process.kill")
    .replace("target: llm", "target: retrieval")
    .replace("with: {ttft: 4s}", "with: {}")
    .replace("service: llm, kind: latency", "service: retrieval, kind: crash")
    .replace("switch_provider", "restart")
)
CRASHED = "35s fault crash@retrieval-2 id=broken fix=restart blast=query,gateway"


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A replica is refused until it is restarted."""
    return Run(
        tmp_path_factory.mktemp("crashed"),
        scenario=CRASH,
        truth=CRASHED,
        breaks=lambda world: world.down.update({"retrieval-2": "refused"}),
        acts=lambda world: world.down.clear(),
    ).record()


def fates(directory: RunDirectory, *names: str) -> dict[str, Told]:
    chosen = [m for m in mutants() if m.name in names]
    assert len(chosen) == len(names)
    return {t.mutant.name: t for t in mutate([Source.of(directory.path)], chosen).told}


def test_every_rule_every_metric_and_every_strategy_has_a_mutant() -> None:
    names = [m.name for m in mutants()]
    assert len(names) == len(set(names))
    assert {f"rule {rule}" for rule in FOR_S} | {f"{how} {metric}" for how in ("blind", "delay") for metric in WATCHED} <= set(names)
    assert {"strategy restart", "strategy switch_provider"} <= set(names)


def test_whatever_a_rule_can_name_has_a_mutant() -> None:
    """Read from the source: the first word of every symptom that is made anywhere in the operator."""
    assert {name for path in OPS for name in _symptoms(path)} == {m.part for m in mutants() if m.kind == "rule"}


def test_no_metric_is_kept_that_no_rule_asks_for() -> None:
    """So that there are no mutants that nothing could ever notice: what is watched stands in a rule, beside the lists of what is kept."""
    kept = {SOURCE / "monitoring" / name for name in ("signals.py", "nodes.py", "stores.py")}
    asked = {text for path in OPS for text in _asked(path, in_lists=path not in kept)}
    assert set(WATCHED) - asked == set()


def _symptoms(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("Symptom", "_symptom"):
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield first.value


def _asked(path: Path, *, in_lists: bool) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    listed = {id(e) for node in ast.walk(tree) if isinstance(node, ast.Tuple) for e in node.elts}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and (in_lists or id(node) not in listed):
            yield node.value


def test_what_a_scenario_asks_for_is_missed(crashed: RunDirectory) -> None:
    found = fates(crashed, "rule InstanceDown", f"blind {LOOKS}", f"delay {LOOKS}", "strategy restart")
    assert {name: told.fate for name, told in found.items()} == dict.fromkeys(found, Fate.KILLED)
    assert "expect.broken.alert" in {k.check for k in found["rule InstanceDown"].kills}
    assert {k.check for k in found["strategy restart"].kills} >= {"expect.broken.action"}


def test_what_makes_no_difference_is_not_reached_and_no_kill(crashed: RunDirectory) -> None:
    found = fates(crashed, "rule RateLimited", "rule LockHeld", "blind rag_queue_length", "strategy reindex")
    assert {name: told.fate for name, told in found.items()} == dict.fromkeys(found, Fate.UNREACHED)
    told = Mutation(tuple(found.values()), (("recorded", 5),))
    assert (told.score, told.reach, told.killed) == (None, 0.0, 0)


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A provider needs four seconds, which several rules see."""
    return Run(tmp_path_factory.mktemp("slow")).record()


def test_words_are_no_claim() -> None:
    """So that a part whose loss changes words alone is covered: how sure a diagnosis is, and why, is judged by nobody."""
    said = {"causes": [{"service": "llm", "kind": "latency", "confidence": 0.9, "evidence": "slow"}], "diagnosis_id": "d-1"}
    reworded = {"causes": [{"service": "llm", "kind": "latency", "confidence": 0.8, "evidence": "waiting"}], "diagnosis_id": "d-1"}
    other = {"causes": [{"service": "llm", "kind": "errors", "confidence": 0.9, "evidence": "slow"}], "diagnosis_id": "d-1"}
    assert wordless(said) == wordless(reworded) != wordless(other)


def test_what_is_claimed_and_not_asked_for_survives_as_unasked(slow: RunDirectory) -> None:
    """Users are paged as well, and calls that wait are seen earlier: the scenario wants one alert within ten seconds, and has it."""
    chosen = [Mutant("rule", "UserLatencyHigh"), Mutant("rule", "CallsQueueing"), Mutant("strategy", "switch_provider")]
    told = mutate([Source.of(slow.path)], chosen)
    assert [t.fate for t in told.told] == [Fate.UNASKED, Fate.UNASKED, Fate.KILLED]
    assert told.score == pytest.approx(1 / 3)
    assert told.by_kind()["rule"] == {"killed": 0, "unasked": 2, "covered": 0, "unreached": 0}


def test_a_survivor_says_which_limit_would_have_noticed(tmp_path: Path) -> None:
    """With looks that come late, the alert does, too; a wide limit does not notice, and the two times say so."""
    text = CRASH[: CRASH.index("expect:")] + "expect: [{fault: broken, alert: '<= 29s'}]\n"
    wide = Run(tmp_path, scenario=text, truth=CRASHED, breaks=lambda world: world.down.update({"retrieval-2": "refused"}), on_call=False)
    (told,) = mutate([Source.of(wide.record().path)], [Mutant("delay", LOOKS)]).told
    (moved,) = told.moved
    assert (told.fate, moved.check, moved.limit) == (Fate.UNASKED, "expect.broken.alert", "<= 29s")
    assert moved.whole < 5 < moved.mutant


def test_listening_changes_nothing(crashed: RunDirectory) -> None:
    source = Source.of(crashed.path)
    assert Whole.of(source).replay.replayed.events == replay(source).replayed.events


def test_runs_of_which_no_check_passes_have_no_score(tmp_path: Path) -> None:
    """Nothing breaks, though the truth says so: alert, cause and action are missing, and nothing else is asked."""
    text = "".join(line for line in SCENARIO.splitlines(keepends=True) if "false_alarms" not in line)
    directory = Run(tmp_path, scenario=text, breaks=lambda world: None).record()
    told = mutate([Source.of(directory.path)], [Mutant("rule", "CallErrors")])
    assert (told.score, told.passing) == (None, (("recorded", 0),))


def test_the_command_lists_survivors_and_fails_below_the_score(crashed: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = tuple(m for m in mutants() if m.name in ("rule InstanceDown", "rule RateLimited", "delay rag_queue_length"))
    monkeypatch.setattr(made, "mutants", lambda: chosen)
    answer = CliRunner().invoke(cli, ["mutate", str(crashed.path), "--json"])
    told = json.loads(answer.stdout)
    assert (answer.exit_code, told["score"], told["reached"], told["mutants"]) == (0, 1.0, 1, 3)
    assert told["by_kind"]["rule"] == {"killed": 1, "unasked": 0, "covered": 0, "unreached": 1}
    shown = CliRunner().invoke(cli, ["mutate", str(crashed.path), "--min-reach", "0.5"])
    assert (shown.exit_code, "reach 33% of all mutants, and 50% are wanted" in shown.stderr) == (3, True)
    assert "not reached rule RateLimited: it makes no difference in these runs" in shown.stdout
    assert "noticed rule InstanceDown: recorded expect.broken.alert is " in shown.stdout
    refused = CliRunner().invoke(cli, ["mutate", str(crashed.path), "--live", "--scenario", str(crashed.scenario_file)])
    assert (refused.exit_code, "leave out --scenario" in refused.stderr) == (2, True)
    asked = CliRunner().invoke(cli, ["mutate", str(crashed.path), "--scenario", str(crashed.scenario_file), "--json"])
    assert json.loads(asked.stdout) == told


def test_late_telemetry_is_what_there_was() -> None:
    """Nothing at first; then the values of ten seconds ago."""
    from harness.ops.monitoring.rounds import Look, Round
    from harness.ops.targets import Endpoint
    from harness.replay.recording import Seen

    at = Endpoint("query", "query-1", "http://127.0.0.1:1", "http://127.0.0.1:1/metrics")
    name = "rag_requests_total"
    rounds = [Seen(Round(float(t), (Look(at, 0.01, [(name, {}, float(t)), ("other", {}, 1.0)]),)), 0) for t in range(15)]
    late: Mutant = next(m for m in mutants() if m.name == f"delay {name}")
    values = [{n: v for n, _, v in seen.round.looks[0].samples} for seen in late.rounds(iter(rounds))]
    assert [v.get(name) for v in values] == [None] * 10 + [0.0, 1.0, 2.0, 3.0, 4.0]
    assert all(v["other"] == 1.0 for v in values)
