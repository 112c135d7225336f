"""The steps that roll a version out: a file that cannot be used is stopped with its place; what the command says is their answer."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from harness.pipeline.step import Context, StepResult
from harness.pipeline.steps.deploy import blue_green, canary, command, drill, environment, rolling
from harness.score.check import Status

GOOD = 'name: shop\nchange: {version: 1.1.0}\nobjectives: {availability: ">= 99%"}\n'


def context(tmp_path: Path, said: list[str] | None = None) -> Context:
    directory = tmp_path / "step"
    directory.mkdir()
    return Context(directory, tmp_path, dict(os.environ), {}, (said if said is not None else []).append, lambda: False)


def test_a_configuration_with_a_bad_url_is_stopped_with_its_place(tmp_path: Path) -> None:
    text = GOOD.replace("{version: 1.1.0}", "{version: 1.1.0, environment: {generation: {LLM_URL: 'htp:/nowhere'}}}")
    (tmp_path / "shop.yaml").write_text(text, encoding="utf-8")
    result = blue_green.carry_out(blue_green.Deploy(file=Path("shop.yaml")), context(tmp_path))
    assert result.status is Status.FAIL
    assert result.reason.startswith("shop.yaml:2:53: error: LLM_URL: the URL has no scheme, or no host [deploy.file]")
    assert (result.findings[0].path, result.findings[0].line) == ("shop.yaml", 2)


def test_each_strategy_reads_the_file_as_its_own(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(GOOD, encoding="utf-8")
    result = rolling.carry_out(rolling.Deploy(file=Path("shop.yaml")), context(tmp_path))
    assert "a rolling deploy must know which services it rolls" in result.reason


@pytest.mark.parametrize(
    ("printed", "code", "status", "said"),
    [
        ('{"verdict": "FAIL", "reason": "too slow", "run_dir": "runs/a", "serving": "1.0.0"}', 1, Status.FAIL, "too slow"),
        ('{"verdict": "PASS", "reason": "all", "run_dir": "runs/a", "serving": "1.1.0"}', 0, Status.PASS, "all"),
        ('{"error": "no PostgreSQL", "exit_code": 4}', 4, Status.INCONCLUSIVE, "the base version did not start: no PostgreSQL"),
        ("", 5, Status.INCONCLUSIVE, "gauntlet deploy ended with 5: it broke"),
    ],
)
def test_what_the_command_says_is_the_steps_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, printed: str, code: int, status: Status, said: str
) -> None:
    (tmp_path / "shop.yaml").write_text(GOOD, encoding="utf-8")
    program = f"import sys; sys.stderr.write('it broke\\n'); print({printed!r}); sys.exit({code})"
    monkeypatch.setattr(command, "_GAUNTLET", (sys.executable, "-c", program))
    lines: list[str] = []
    result = canary.carry_out(canary.Deploy(file=Path("shop.yaml")), context(tmp_path, lines))
    assert (result.status, result.reason) == (status, said)
    assert lines == ["it broke"]
    assert result.outputs.get("serving") in (None, "1.0.0", "1.1.0")


def environments(tmp_path: Path, **layers: str) -> None:
    folder = tmp_path / "environments"
    folder.mkdir()
    (folder / "shop.deploy").write_text(GOOD, encoding="utf-8")
    for name, text in layers.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        ("urls: {llm: 'http//nowhere'}", "environments/staging.yaml:1:13: error: llm: the URL has no scheme"),
        ("settings: {generation: {LLM_URL: 'htp:/nowhere'}}", "environments/staging.yaml:1:34: error: LLM_URL: the URL has no scheme"),
        ("strategy: rolling", "environments/shop.deploy:1:1: error: a rolling deploy must know which services it rolls"),
        ("strategy: blue", "environments/staging.yaml:1:11: error:"),
    ],
)
def test_an_environment_that_cannot_work_starts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layer: str, said: str) -> None:
    monkeypatch.setattr(command, "_GAUNTLET", ("/nobody/starts/this",))
    environments(tmp_path, base="strategy: canary\ndeploy: shop.deploy\n", staging=layer + "\n")
    result = environment.carry_out(environment.Deploy(environment="staging"), context(tmp_path))
    assert result.status is Status.FAIL
    assert result.reason.startswith(said), result.reason
    assert list((tmp_path / "step").iterdir()) == []


def test_an_environment_hands_on_the_id_of_its_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environments(tmp_path, staging="strategy: canary\ndeploy: shop.deploy\n")
    program = "import json, sys; print(json.dumps({'verdict': 'PASS', 'reason': 'all', 'serving': '1.1.0+x', 'strategy': sys.argv[1:4]}))"
    monkeypatch.setattr(command, "_GAUNTLET", (sys.executable, "-c", program))
    result = environment.carry_out(environment.Deploy(environment="staging"), context(tmp_path))
    assert (result.status, result.outputs["strategy"]) == (Status.PASS, "['config', 'deploy', 'staging']")
    shown = json.loads(result.evidence["configuration"].read_text(encoding="utf-8"))
    assert result.outputs["config_id"] == shown["config_id"]


def test_a_drill_needs_limits(tmp_path: Path) -> None:
    environments(tmp_path, staging="strategy: canary\ndeploy: shop.deploy\n")
    result = drill.carry_out(drill.Drill(environment="staging"), context(tmp_path))
    assert result.status is Status.FAIL
    assert "staging does not say what a backup must give [deploy.configuration]; add `recovery: {rpo: 5m, rto: 10m}`" in result.reason


def drilled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, stopped: bool = False) -> tuple[StepResult, list[str]]:
    """The drill of a site that `gauntlet` answers for, and what it was asked in turn."""
    environments(tmp_path, staging="strategy: canary\ndeploy: shop.deploy\nrecovery: {rpo: 5m, rto: 10m}\n")
    asked = tmp_path / "asked"
    whole = f"import json, sys; verb = ' '.join(sys.argv[1:3]); open({str(asked)!r}, 'a').write(verb + '\\n'); {program}"
    monkeypatch.setattr(command, "_GAUNTLET", (sys.executable, "-c", whole))
    given = replace(context(tmp_path), stopped=lambda: stopped)
    result = drill.carry_out(drill.Drill(environment="staging"), given)
    return result, asked.read_text(encoding="utf-8").splitlines() if asked.exists() else []


def test_a_site_that_the_drill_started_is_ended_whatever_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = "print(json.dumps({'error': 'no PostgreSQL'})); sys.exit(0 if verb == 'deploy down' else 4)"
    result, asked = drilled(tmp_path, monkeypatch, program)
    assert (result.status, result.reason) == (Status.INCONCLUSIVE, "shop-staging does not start: no PostgreSQL")
    assert asked == ["deploy status", "config up", "deploy down"]


def test_a_site_that_stands_is_left_standing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = "print(json.dumps({'error': 'broken'})); sys.exit(0 if verb == 'deploy status' else 1)"
    result, asked = drilled(tmp_path, monkeypatch, program)
    assert (result.status, result.reason) == (Status.INCONCLUSIVE, "no backup: broken")
    assert asked == ["deploy status", "config backup"]


def test_an_interrupted_drill_begins_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result, asked = drilled(tmp_path, monkeypatch, "sys.exit(0)", stopped=True)
    assert (result.status, result.reason, asked) == (Status.INCONCLUSIVE, "interrupted", [])
