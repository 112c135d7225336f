"""The steps that roll a version out: a file that cannot be used is stopped with its place; what the command says is their answer."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from harness.pipeline.step import Context
from harness.pipeline.steps.deploy import blue_green, canary, command, rolling
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
    run = command._run
    monkeypatch.setattr(command, "_run", lambda _argv, answer, given: run([sys.executable, "-c", program], answer, given))
    lines: list[str] = []
    result = canary.carry_out(canary.Deploy(file=Path("shop.yaml")), context(tmp_path, lines))
    assert (result.status, result.reason) == (status, said)
    assert lines == ["it broke"]
    assert result.outputs.get("serving") in (None, "1.0.0", "1.1.0")
