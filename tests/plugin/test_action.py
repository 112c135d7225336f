"""The action's own step on a real run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugin.test_scenarios import SCENARIO
from tests.test_ci_files import REAL, Runner


@pytest.mark.e2e
@pytest.mark.beside
def test_a_run_as_a_step_of_the_action(service: str, tmp_path: Path) -> None:
    (tmp_path / "three.yaml").write_text(SCENARIO.format(url=service), encoding="utf-8")
    runner = Runner(tmp_path, REAL)
    assert runner.step("Run", tmp_path, scenarios="three.yaml") == 1, runner.log
    outputs = runner.outputs
    assert (outputs["verdict"], outputs["exit-code"]) == ("FAIL", "1")
    assert {file.name for file in Path(outputs["run-directory"]).iterdir()} >= {"verdict.json", "junit.xml", "report.html"}
    summary = runner.files["GITHUB_STEP_SUMMARY"].read_text(encoding="utf-8")
    assert summary.startswith("## FAIL: three-ends\n") and "| FAIL | probe.says-no |" in summary
    lines = SCENARIO.splitlines()
    (note,) = [line for line in runner.log.splitlines() if line.startswith("::error file=three.yaml") and "says-no" in line]
    assert "says-no" in lines[int(note.partition("line=")[2].partition(",")[0]) - 1]
