"""An operator of a team's own is replayed: its claims are scored, and whatever is wrong with it is told."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness.cli import cli
from harness.ops.monitoring.rounds import Look, Round
from harness.ops.targets import Endpoint
from harness.record.store import RunDirectory
from harness.replay import outside as module
from harness.replay.outside import EndedError, OutsideOperator, document_of, outside
from harness.replay.replaying import Source, replay_outside
from harness.replay.voice import RecordingVoice
from tests.unit.replay.recorded import Run, claims
from tests.unit.replay.test_mutation import CRASH

FIRST_LINES = "import json, sys, time\ntargets = json.loads(sys.stdin.readline())['targets']\n"

# The one that docs/agent.md shows: an instance that fails twice in a row is told of, named and restarted.
AGENT = Path("docs/agent.md").read_text(encoding="utf-8").partition("## In a replay")[2].partition("```python\n")[2].partition("```")[0]
QUIET = "for line in sys.stdin:\n    print('{}', flush=True)\n"


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return Run(
        tmp_path_factory.mktemp("crashed"),
        scenario=CRASH,
        truth="35s fault crash@retrieval-2 id=broken fix=restart blast=query,gateway",
        breaks=lambda world: world.down.update({"retrieval-2": "refused"}),
        on_call=False,
    ).record()


def agent(directory: Path, body: str) -> str:
    file = directory / "agent.py"
    file.write_text(body if body == AGENT else FIRST_LINES + body)
    return shlex.join([sys.executable, str(file)])


def replayed(run: RunDirectory, command: str, *more: str) -> Result:
    return CliRunner().invoke(cli, ["replay", str(run.path), "--operator", command, *more])


def test_its_claims_are_scored(crashed: RunDirectory, tmp_path: Path) -> None:
    answer = replayed(crashed, agent(tmp_path, AGENT), "--json")
    told = json.loads(answer.stdout)
    status = {c["name"]: c["status"] for c in told["checks"]}
    assert [status[f"expect.broken.{what}"] for what in ("alert", "root_cause", "action")] == ["PASS", "PASS", "PASS"]
    assert (told["fidelity"]["same_operator"], told["refused"]) == (False, [])
    assert answer.stdout == replayed(crashed, agent(tmp_path, AGENT), "--json").stdout


def test_one_that_says_nothing_has_missed(crashed: RunDirectory, tmp_path: Path) -> None:
    answer = replayed(crashed, agent(tmp_path, QUIET))
    assert answer.exit_code == 1
    assert "- FAIL expect.broken.alert" in answer.stdout


def test_it_is_told_no_truth_and_no_place_to_ask(crashed: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_END_S", 60.0)  # what it has heard is in its file once it has ended by itself
    heard = tmp_path / "heard"
    body = f"out = open({str(heard)!r}, 'w')\nout.write(json.dumps(targets))\n"
    body += "for line in sys.stdin:\n    out.write(line)\n    print('{}', flush=True)\n"
    replayed(crashed, agent(tmp_path, body))
    text = heard.read_text()
    assert [w for w in ("broken", "process.kill", "recorded", "steady_state", "/gone/registry.json", "claims", "token") if w in text] == []
    assert '"edges"' in text


def test_a_crash_is_told(crashed: RunDirectory, tmp_path: Path) -> None:
    body = "for n, line in enumerate(sys.stdin):\n    if n == 20:\n        sys.exit(7)\n    print('{}', flush=True)\n"
    answer = replayed(crashed, agent(tmp_path, body), "--json")
    told = json.loads(answer.stdout)
    assert (answer.exit_code, told["verdict"]) == (3, "INCONCLUSIVE")
    died = [c for c in told["claims"] if c.get("state") == "exited"]
    assert died[0]["detail"] == "EndedError: it ended with 7"
    shown = replayed(crashed, agent(tmp_path, body)).stdout
    assert "(exit status 7)" in shown
    assert "- the operator has died: EndedError: it ended with 7" in shown


@pytest.mark.parametrize(
    ("body", "patience_s", "why"),
    [
        ("for line in sys.stdin:\n    pass\n", 0.3, "it gave no answer within 0.3 s"),
        ("import os\nos.close(1)\ntime.sleep(60)\n", 15.0, "it closed its standard input or output"),  # told at once, whatever the patience
    ],
    ids=["never answers", "closes its output"],
)
def test_silence_is_told(
    crashed: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, patience_s: float, why: str
) -> None:
    monkeypatch.setattr(module, "_END_S", 0.2)
    with outside(shlex.split(agent(tmp_path, body)), patience_s) as operator:
        found = replay_outside(Source.of(crashed.path), operator)
    (died,) = [e for e in found.replayed.events if e.data.get("state") == "exited"]
    assert f"EndedError: {why}" in died.data["detail"]
    assert found.verdict.exit_code == 3


def test_words_that_no_inbox_takes_are_told_and_the_rest_is_heard(crashed: RunDirectory, tmp_path: Path) -> None:
    body = """
answers = ["no JSON", "[]", '{"alert": {}}', '{"diagnoses": {"causes": [{"service": "llm", "kind": "sadness"}]}}',
           '{"actions": [{"verb": "pray", "service": "llm"}, {"verb": "restart", "service": "llm"}]}']
for n, line in enumerate(sys.stdin):
    print(answers[n] if n < len(answers) else "{}", flush=True)
"""
    with outside(shlex.split(agent(tmp_path, body))) as operator:
        found = replay_outside(Source.of(crashed.path), operator)
    assert [why.partition(": ")[0] for why in found.replayed.refused] == ["answer 1", "answer 2", "answer 3", "answer 4", "answer 5"]
    assert "an answer is a line of JSON, and 'no JSON' is none" in found.replayed.refused[0]
    assert "alert: no such thing can be said; there are: alerts, diagnoses, actions, escalations" in found.replayed.refused[2]
    assert "causes.0.kind" in found.replayed.refused[3]
    assert claims(found.replayed.events) == ["action restart llm"]


def test_one_that_does_not_read_is_told_and_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than a pipe holds is waiting for it."""
    monkeypatch.setattr(module, "_END_S", 0.2)
    at = Endpoint("query", "query-1", "http://127.0.0.1:1", "http://127.0.0.1:1/metrics")
    much = Round(1.0, (Look(at, 0.01, [("metric", {"n": str(n)}, 1.0) for n in range(20_000)]),))
    with outside(shlex.split(agent(tmp_path, "time.sleep(60)\n")), patience_s=0.5) as operator:
        operator.join({}, RecordingVoice(0.0))
        with pytest.raises(EndedError, match="it did not read its standard input"):
            operator.round(much)
        process = operator._process
    assert process.returncode is not None


@pytest.mark.parametrize(("command", "why"), [("/no/such/agent", "cannot be started"), ("", "no command"), ("'", "No closing quotation")])
def test_a_command_that_cannot_be_started_is_a_matter_of_usage(crashed: RunDirectory, command: str, why: str) -> None:
    answer = replayed(crashed, command)
    assert (answer.exit_code, why in answer.stderr) == (2, True)


def test_numbers_that_json_does_not_have_are_spelt() -> None:
    at = Endpoint("query", "query-1", "http://127.0.0.1:1", "http://127.0.0.1:1/metrics")
    values = (1.5, float("nan"), float("inf"), float("-inf"))
    told = document_of(Round(1.0, (Look(at, 0.01, [("m", {"n": str(n)}, v) for n, v in enumerate(values)]),)))
    assert [value for _, _, value in told["looks"][0]["samples"]] == [1.5, "NaN", "+Inf", "-Inf"]
    json.dumps(told, allow_nan=False)


def test_nothing_of_it_is_left(tmp_path: Path) -> None:
    with outside(shlex.split(agent(tmp_path, QUIET))) as operator:
        assert isinstance(operator, OutsideOperator)
        process = operator._process
    assert process.returncode is not None
