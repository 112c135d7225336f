"""What the commands tell GitHub, where they are asked to, or run there."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.report.github import SUMMARY_BYTES
from harness.run import Options, open_record
from harness.scenario.loader import load_scenario

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that ended before it began."""
    monkeypatch.chdir(ROOT)
    loaded = load_scenario(Path("scenarios/null.yaml"))
    return open_record(loaded.scenario, loaded, Options(out=tmp_path)).path


def test_a_file_gets_the_summary_and_standard_error_the_annotations(record: Path, tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("# before\n", encoding="utf-8")
    done = CliRunner().invoke(cli, ["judge", str(record), "--github", str(summary), "--json"])
    assert done.exit_code == 3 and done.stdout.startswith("{")
    notes = [line for line in done.stderr.splitlines() if line.startswith("::")]
    assert 1 < len(notes) <= 10 and all(line.startswith("::error file=scenarios/null.yaml,line=") for line in notes[:9])
    text = summary.read_text(encoding="utf-8")
    assert text.startswith("# before\n## INCONCLUSIVE: null\n") and "gauntlet run scenarios/null.yaml --seed 1" in text


def test_on_github_nobody_has_to_ask(record: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "::" not in CliRunner().invoke(cli, ["report", str(record)]).stderr
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert "::error " in CliRunner().invoke(cli, ["report", str(record)]).stderr
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    CliRunner().invoke(cli, ["report", str(record)])
    assert "## INCONCLUSIVE" in (tmp_path / "summary.md").read_text(encoding="utf-8")


def test_what_is_there_of_a_step_counts(record: Path, tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("x" * (SUMMARY_BYTES - 1_500), encoding="utf-8")
    CliRunner().invoke(cli, ["judge", str(record), "--github", str(summary)])
    text = summary.read_text(encoding="utf-8")
    assert len(text.encode()) <= SUMMARY_BYTES and "**Cut**" in text
    summary.write_text("x" * SUMMARY_BYTES, encoding="utf-8")
    CliRunner().invoke(cli, ["judge", str(record), "--github", str(summary)])
    assert summary.stat().st_size == SUMMARY_BYTES


def test_a_file_that_cannot_be_written_is_told(record: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["judge", str(record), "--github", str(tmp_path)])
    assert done.exit_code == 2 and done.stderr.splitlines()[-1] == f"--github {tmp_path}: Is a directory"
