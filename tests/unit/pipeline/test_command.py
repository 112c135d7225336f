"""The commands, as far as nothing is started: what is refused, and how."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness.cli import cli
from tests.unit.pipeline.plays import Played, play
from tests.unit.pipeline.test_engine import CHAIN, ONE

WITH_SECRET = CHAIN.replace("argv: [d]", 'argv: ["${env.GAUNTLET_TEST_UNSET}"]')


def gauntlet(*words: str) -> Result:
    return CliRunner().invoke(cli, list(words))


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GAUNTLET_TEST_UNSET", raising=False)
    path = tmp_path / "p.yaml"
    path.write_text(WITH_SECRET, encoding="utf-8")
    return path


def test_check(file: Path) -> None:
    fine = gauntlet("pipeline", "check", str(file))
    assert (fine.exit_code, fine.stderr) == (0, f"{file}: fine\n")
    file.write_text("name: p\nstages: {a: {steps: [{id: x, uses: comand}]}}\n", encoding="utf-8")
    wrong = gauntlet("pipeline", "check", str(file), "--json")
    (problem,) = json.loads(wrong.stdout)["files"][str(file)]
    assert (wrong.exit_code, problem["line"], problem["hint"]) == (2, 2, "did you mean 'command'?")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--stage", "tset"), "p.yaml:3:1: there is no stage 'tset'; did you mean 'test'?"),
        (("--from", "nowhere"), "there is no stage 'nowhere'"),
        ((), "the variable GAUNTLET_TEST_UNSET is not set; set it before the start"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_starts(file: Path, words: tuple[str, ...], told: str) -> None:
    done = gauntlet("pipeline", "run", str(file), *words)
    assert done.exit_code == 2 and told in done.stderr
    assert not (file.parent / "runs").exists()


def test_show(tmp_path: Path) -> None:
    record = play(CHAIN, tmp_path / "run", {"one": Played(ONE)}).record
    shown = gauntlet("pipeline", "show", str(record.path), "--json")
    assert (shown.exit_code, json.loads(shown.stdout)["verdict"]) == (0, "PASS")
    assert gauntlet("pipeline", "show", str(record.path)).stdout.startswith("PASS: chain: all 5 steps of 4 stages pass\n")
    none = gauntlet("pipeline", "show", str(tmp_path))
    assert none.exit_code == 2 and "give the directory of a run of a pipeline" in none.stderr


def test_schema() -> None:
    assert json.loads(gauntlet("schema", "pipeline").stdout)["title"] == "gauntlet pipeline"
