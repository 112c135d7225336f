"""A replay says what the live operator said, sees no truth, and claims nothing of a world that never was."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.gate import EXIT_FAIL, EXIT_INCONCLUSIVE, EXIT_PASS
from harness.ops.assembly import assemble
from harness.ops.diagnosis.ranking import Cause
from harness.ops.monitoring.rounds import Round
from harness.ops.operator import Operator, Voice
from harness.ops.recovery.strategies import Step
from harness.ops.targets import Targets
from harness.record.looks import public
from harness.record.store import RecordError, RunDirectory
from harness.replay.play import play
from harness.replay.recording import Recording, Seen
from harness.replay.replaying import Replay, Source, replay
from harness.score.check import Status
from tests.heard import Heard
from tests.unit.replay.recorded import SCENARIO, Run, claims


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return Run(tmp_path_factory.mktemp("recorded")).record()


def statuses(found: Replay) -> dict[str, str]:
    return {r.name.removeprefix("expect."): r.status.value for r in found.verdict.results}


def test_the_same_operator_says_the_same_of_the_same(recorded: RunDirectory) -> None:
    heard = Heard()
    source = Source.of(recorded.path, heard)
    found = replay(source, progress=heard)
    assert heard.stages[1:] == [("replaying", len(source.rounds))]
    assert heard.done[1:] == [len(source.rounds)]
    close = found.fidelity
    assert close.same_operator
    assert close.agreeing == len(close.told) >= 3
    assert found.partings == ()
    said = claims(found.replayed.events)
    assert (said[0], said[1].split()[:2]) == ("firing LatencyHigh llm", ["diagnosis", "llm/latency"])
    assert [line for line in said if line.startswith("action")] == ["action switch_provider llm"]
    asked = {"broken.alert", "broken.root_cause", "broken.action", "run.false_alarms", "run.needless_actions"}
    assert statuses(found) == dict.fromkeys(asked, "PASS")  # what became of users is not judged again
    assert found.verdict.exit_code == EXIT_PASS


def test_the_command_gives_the_same_bytes_twice(recorded: RunDirectory, tmp_path: Path) -> None:
    elsewhere = shutil.copytree(recorded.path, tmp_path / "moved")
    answers = [CliRunner().invoke(cli, ["replay", str(path), "--json"]) for path in (recorded.path, elsewhere)]
    assert answers[0].exit_code == 0, answers[0].output
    assert answers[0].stdout == answers[1].stdout
    told = json.loads(answers[0].stdout)
    assert (told["verdict"], told["fidelity"]["agreeing"]) == ("PASS", told["fidelity"]["n"])
    shown = CliRunner().invoke(cli, ["replay", str(recorded.path)])
    assert "claims agree within one sampling interval (1.0s)" in shown.stdout


def test_a_run_is_asked_what_a_newer_text_of_its_scenario_expects(recorded: RunDirectory, tmp_path: Path) -> None:
    """One limit is one that it breaks, and one fault is not in the run; a file of another fault, or of another scenario, is refused."""
    added = SCENARIO.replace("faults: [", "faults: [{id: later, type: process.kill, target: retrieval, at: recovery}, ")
    texts = {
        "newer": added.replace('alert: "<= 10s"', 'alert: "<= 1s"').replace("expect:", "expect:\n  - {fault: later, alert: '<= 5s'}"),
        "other": SCENARIO.replace("ttft: 4s", "ttft: 5s"),
        "strange": SCENARIO.replace("name: recorded", "name: strange"),
    }
    files = {name: tmp_path / f"{name}.yaml" for name in texts}
    for name, text in texts.items():
        files[name].write_text(text, encoding="utf-8")
    newer, other, strange = (CliRunner().invoke(cli, ["replay", str(recorded.path), "--scenario", str(file)]) for file in files.values())
    assert newer.exit_code == EXIT_FAIL
    assert "FAIL expect.broken.alert" in newer.stdout and "PASS expect.broken.root_cause" in newer.stdout
    assert "INCONCLUSIVE expect.later.alert" in newer.stdout
    assert (other.exit_code, strange.exit_code) == (2, 2)
    assert "its fault broken is not the one of the run" in other.stderr and "{'ttft': '5s'}" in other.stderr
    assert "none of these runs is one of strange" in strange.stderr


def test_what_the_operator_hears_comes_without_the_truth(recorded: RunDirectory, tmp_path: Path) -> None:
    """Where events, scenario, questions and logs are gone, the operator says the same: it never saw them."""
    bare = RunDirectory(tmp_path / "bare")
    shutil.copytree(recorded.samples, bare.samples)
    shutil.copy(recorded.targets, bare.targets)
    whole, blind = Recording.of(recorded), Recording.of(bare)
    assert play(blind.rounds(), blind.targets, 0.0).events == play(whole.rounds(), whole.targets, 0.0).events
    told = bare.targets.read_text() + "".join(p.read_text(errors="replace") for p in sorted(bare.samples.iterdir()))
    assert [word for word in ("broken", "slow_first_token", "recorded", "steady_state", "fault") if word in told] == []
    assert (blind.targets.claims, blind.targets.actions_url, blind.targets.token) == ({}, None, None)


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("postgresql://me:secret@127.0.0.1:5432/db?password=x", "postgresql://127.0.0.1:5432/db"),
        ("redis://:secret@[::1]:6379/0", "redis://[::1]:6379/0"),
        ("http://127.0.0.1:1/metrics?token=x", "http://127.0.0.1:1/metrics"),
    ],
)
def test_credentials_of_an_endpoint_are_not_kept(url: str, kept: str) -> None:
    assert public(url) == kept


class Silent:
    """Watches, and says nothing."""

    def round(self, round_: Round) -> None: ...


class Acting:
    """Restarts the gateway at the round after so many."""

    def __init__(self, voice: Voice, after: int) -> None:
        self.voice, self.left = voice, after

    def round(self, round_: Round) -> None:
        self.left -= 1
        if self.left == 0:
            self.voice.act(Step("restart", "gateway"), None)


def test_silence_is_a_miss_up_to_the_moment_in_which_the_run_was_healed(recorded: RunDirectory) -> None:
    """The live operator acts after some seconds; whether the silent one would have spoken later, nobody knows."""
    found = replay(Source.of(recorded.path), lambda targets, voice: Silent())
    (parting,) = found.partings
    assert "the operator of the run asked for switch_provider of llm" in parting.why
    assert statuses(found) == dict.fromkeys(statuses(found), "INCONCLUSIVE")
    assert found.verdict.exit_code == EXIT_INCONCLUSIVE


def test_silence_is_a_miss_where_nobody_acted(tmp_path: Path) -> None:
    directory = Run(tmp_path, on_call=False).record()
    found = replay(Source.of(directory.path), lambda targets, voice: Silent())
    assert statuses(found) == {
        "broken.alert": "FAIL",
        "broken.root_cause": "FAIL",
        "broken.action": "FAIL",
        "run.false_alarms": "PASS",
        "run.needless_actions": "PASS",
    }


def test_an_action_that_the_run_did_not_see_ends_what_can_be_compared(tmp_path: Path) -> None:
    """Nobody was on call: what was said before the action counts, and the decision to act; the world that it made does not exist."""
    directory = Run(tmp_path, on_call=False).record()
    found = replay(Source.of(directory.path))
    (parting,) = found.partings
    assert "the replayed operator asked for switch_provider of llm" in parting.why
    assert statuses(found) == {
        "broken.alert": "PASS",
        "broken.root_cause": "PASS",
        "broken.action": "PASS",
        "run.false_alarms": "INCONCLUSIVE",
        "run.needless_actions": "INCONCLUSIVE",
    }


def test_alerts_by_name_are_settled_one_by_one(tmp_path: Path) -> None:
    """One came before the action, one has missed its limit by then, and of the third nobody knows."""
    alerts = "alerts: {LatencyHigh: '<= 10s', InstanceDown: '<= 1s', UserErrorsHigh: '<= 20s'}"
    directory = Run(tmp_path, scenario=SCENARIO.replace('alert: "<= 10s"', alerts), on_call=False).record()
    found = statuses(replay(Source.of(directory.path)))
    assert {name: found[f"broken.alerts.{name}"] for name in ("LatencyHigh", "InstanceDown", "UserErrorsHigh")} == {
        "LatencyHigh": "PASS",
        "InstanceDown": "FAIL",
        "UserErrorsHigh": "INCONCLUSIVE",
    }


def test_a_needless_action_without_a_fault_fails_whatever_came_of_it(recorded: RunDirectory) -> None:
    found = replay(Source.of(recorded.path), lambda targets, voice: Acting(voice, 10))
    assert statuses(found)["run.needless_actions"] == "FAIL"
    assert found.verdict.exit_code == EXIT_FAIL


def test_an_operator_that_raises_has_died(recorded: RunDirectory) -> None:
    class Mortal:
        rounds = 0

        def round(self, round_: Round) -> None:
            self.rounds += 1
            if self.rounds > 20:
                raise ZeroDivisionError("of its own making")

    found = replay(Source.of(recorded.path), lambda targets, voice: Mortal())
    assert statuses(found) == dict.fromkeys(statuses(found), "INCONCLUSIVE")
    assert "the operator process died 21" in found.verdict.reason


def test_a_word_that_no_inbox_takes_is_told(recorded: RunDirectory) -> None:
    class Muddled:
        def __init__(self, voice: Voice) -> None:
            self.voice = voice

        def round(self, round_: Round) -> None:
            assert self.voice.diagnosis((Cause("llm", "sadness", 0.9, ""),)) is None

    found = replay(Source.of(recorded.path), lambda targets, voice: Muddled(voice))
    assert "DiagnosisBody: causes.0.kind" in found.replayed.refused[0]


def test_what_is_altered_is_what_the_operator_sees(recorded: RunDirectory) -> None:
    def blind(rounds: Iterator[Seen]) -> Iterator[Seen]:
        for seen in rounds:
            looks = tuple(replace(look, samples=()) for look in seen.round.looks)
            yield replace(seen, round=replace(seen.round, looks=looks, client=()))

    found = replay(Source.of(recorded.path), alter=blind)
    assert claims(found.replayed.events) == []


def test_a_record_without_looks_says_that_it_cannot_be_replayed(recorded: RunDirectory, tmp_path: Path) -> None:
    old = Path(shutil.copytree(recorded.path, tmp_path / "old"))
    (old / "targets.json").unlink()
    answer = CliRunner().invoke(cli, ["replay", str(old)])
    assert answer.exit_code == 2
    assert "cannot be replayed: it has no targets.json" in answer.stderr
    early = Path(shutil.copytree(recorded.path, tmp_path / "early"))
    (early / "samples" / "looks.jsonl").unlink()
    with pytest.raises(RecordError, match="nothing was looked at"):
        Source.of(early)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_samples_that_were_cut_are_no_calm(recorded: RunDirectory, tmp_path: Path, share: float) -> None:
    cut = Path(shutil.copytree(recorded.path, tmp_path / "cut"))
    segment = cut / "samples" / "samples.seg"
    segment.write_bytes(segment.read_bytes()[: int(share * segment.stat().st_size)])
    with pytest.raises(RecordError, match="the record was cut"):
        replay(Source.of(cut))


def test_a_scenario_that_expects_nothing_of_an_operator_scores_nothing(tmp_path: Path) -> None:
    text = SCENARIO[: SCENARIO.index("expect:")] + "expect: [{fault: broken, outcome: recovered}]\n"
    directory = Run(tmp_path, scenario=text).record()
    found = replay(Source.of(directory.path))
    assert (found.verdict.status, found.verdict.results) == (Status.INCONCLUSIVE, ())
    assert "nothing that a replay can score" in found.verdict.reason


def test_it_is_the_operator_that_watches_live(recorded: RunDirectory) -> None:
    made: list[tuple[Targets, Operator]] = []

    def noted(targets: Targets, voice: Voice) -> Operator:
        made.append((targets, assemble(targets, voice)))
        return made[0][1]

    replay(Source.of(recorded.path), noted)
    ((targets, operator),) = made
    assert type(operator) is Operator
    assert targets.slos == {"latency_p95": "<= 800ms"}
