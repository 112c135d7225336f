"""What is missing is noticed where a scenario asks for it, and survives where none does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.ops.monitoring.alerts import FOR_S
from harness.ops.monitoring.signals import WATCHED
from harness.record.store import RunDirectory
from harness.replay import mutants as made
from harness.replay.mutants import LOOKS, Mutant, mutants
from harness.replay.mutation import Fate, Mutation, mutate
from harness.replay.replaying import Source
from tests.unit.replay.recorded import SCENARIO, Run

CRASH = (
    SCENARIO.replace("llm.slow_first_token", "process.kill")
    .replace("target: llm", "target: retrieval")
    .replace("with: {ttft: 4s}", "with: {}")
    .replace("service: llm, kind: latency", "service: retrieval, kind: crash")
    .replace("switch_provider", "restart")
)


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A replica is refused until it is restarted."""
    return Run(
        tmp_path_factory.mktemp("crashed"),
        scenario=CRASH,
        truth="35s fault crash@retrieval-2 id=broken fix=restart blast=query,gateway",
        breaks=lambda world: world.down.update({"retrieval-2": "refused"}),
        acts=lambda world: world.down.clear(),
    ).record()


def fates(directory: RunDirectory, *names: str) -> dict[str, Fate]:
    chosen = [m for m in mutants() if m.name in names]
    assert [m.name for m in chosen] == [m.name for m in mutants() if m.name in names] and len(chosen) == len(names)
    return {f.mutant.name: f for f in mutate([Source.of(directory.path)], chosen).fates}


def test_every_rule_every_metric_and_every_strategy_has_a_mutant() -> None:
    names = [m.name for m in mutants()]
    assert len(names) == len(set(names))
    assert {f"rule {rule}" for rule in FOR_S} | {f"{how} {metric}" for how in ("blind", "delay") for metric in WATCHED} <= set(names)
    assert {"strategy restart", "strategy switch_provider"} <= set(names)


def test_what_a_scenario_asks_for_is_missed(crashed: RunDirectory) -> None:
    found = fates(crashed, "rule InstanceDown", f"blind {LOOKS}", f"delay {LOOKS}", "strategy restart")
    assert {name: bool(fate.kills) for name, fate in found.items()} == dict.fromkeys(found, True)
    assert "expect.broken.alert" in {k.check for k in found["rule InstanceDown"].kills}
    assert {k.check for k in found["strategy restart"].kills} >= {"expect.broken.action"}


def test_what_no_scenario_asks_for_survives(crashed: RunDirectory) -> None:
    found = fates(crashed, "rule RateLimited", "blind rag_client_requests_total", "blind rag_queue_length")
    assert {name: (bool(f.kills), f.differs) for name, f in found.items()} == dict.fromkeys(found, (False, False))
    told = Mutation(tuple(found.values()), (("recorded", 5),))
    assert (told.score, len(told.counted)) == (0.0, 2)  # the queue is read by no rule: equivalent, with its reason
    assert [f.equivalent for f in told.fates if f not in told.counted] == ["the operator keeps it, and no rule reads it"]


def test_a_reason_that_a_replay_contradicts_is_none(crashed: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(made, "EQUIVALENT", {"InstanceDown": "nobody needs it"})
    fate = fates(crashed, "rule InstanceDown")["rule InstanceDown"]
    assert (fate.mutant.equivalent, fate.equivalent) == ("nobody needs it", None)


def test_runs_of_which_no_check_passes_have_no_score(tmp_path: Path) -> None:
    """Nothing breaks, though the truth says so: alert, cause and action are missing, and nothing else is asked."""
    text = "".join(line for line in SCENARIO.splitlines(keepends=True) if "false_alarms" not in line)
    directory = Run(tmp_path, scenario=text, breaks=lambda world: None).record()
    told = mutate([Source.of(directory.path)], [m for m in mutants() if m.name == "rule CallErrors"])
    assert (told.score, told.passing) == (None, (("recorded", 0),))


def test_the_command_lists_survivors_and_fails_below_the_score(crashed: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = tuple(m for m in mutants() if m.name in ("rule InstanceDown", "rule RateLimited", "delay rag_queue_length"))
    monkeypatch.setattr(made, "mutants", lambda: chosen)
    answer = CliRunner().invoke(cli, ["mutate", str(crashed.path), "--json"])
    told = json.loads(answer.stdout)
    assert (answer.exit_code, told["score"], told["survivors"], told["equivalent"]) == (1, 0.5, ["rule RateLimited"], 1)
    shown = CliRunner().invoke(cli, ["mutate", str(crashed.path), "--min-score", "0.5"])
    assert shown.exit_code == 0
    assert "SURVIVED rule RateLimited: no claim differs" in shown.stdout
    assert "noticed rule InstanceDown: recorded expect.broken.alert is " in shown.stdout


def test_late_telemetry_is_what_there_was() -> None:
    """Nothing at first; then the values of ten seconds ago."""
    from harness.ops.monitoring.rounds import Look, Round
    from harness.ops.targets import Endpoint
    from harness.replay.recording import Seen

    at = Endpoint("query", "query-1", "http://127.0.0.1:1", "http://127.0.0.1:1/metrics")
    name = "rag_requests_total"
    rounds = [Seen(Round(float(t), (Look(at, 0.01, [(name, {}, float(t)), ("other", {}, 1.0)]),)), 0) for t in range(15)]
    late: Mutant = next(m for m in mutants() if m.name == f"delay {name}")
    assert late.alter is not None
    values = [{n: v for n, _, v in seen.round.looks[0].samples} for seen in late.alter(iter(rounds))]
    assert [v.get(name) for v in values] == [None] * 10 + [0.0, 1.0, 2.0, 3.0, 4.0]
    assert all(v["other"] == 1.0 for v in values)
