"""Rule files that a scenario names are read before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.lifecycle.checking import check_loaded
from harness.scenario.loader import load_text
from harness.scenario.problem import ScenarioError

SCENARIO = """name: a
load: {{shape: [{{constant: 20/s}}]}}
phases: {{warmup: 10s, steady_state: 30s, fault: 40s, recovery: 20s}}
time_scale: {scale}
faults:
  - {{id: killed, type: process.kill, target: retrieval-1, at: fault, for: 30s}}
operator: {operator}
"""
RULES = "groups: [{name: a, rules: [{alert: Down, expr: 'up == 0', for: 1m, labels: {severity: critical}}]}]\n"


def problems(operator: str, scale: float = 1.0) -> list[str]:
    return [str(one) for one in check_loaded(load_text(SCENARIO.format(operator=operator, scale=scale))) if "rules" in str(one)]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.yml").write_text(RULES, encoding="utf-8")
    return tmp_path


def test_rules_that_fire_in_time_are_fine() -> None:
    assert problems("{rules: [rules.yml]}", scale=3.0) == []


def test_a_rule_that_fires_after_the_fault_is_a_warning_in_its_own_file() -> None:
    (one,) = problems("{rules: [rules.yml]}")
    assert one.startswith("rules.yml:1:28: warning: Down can never fire in time") and "time_scale above 2" in one


def test_what_cannot_be_evaluated_is_an_error_in_its_own_file(here: Path) -> None:
    (here / "rules.yml").write_text(RULES.replace("up == 0", "up[5m:1m]"), encoding="utf-8")
    (one,) = problems("{rules: [rules.yml]}")
    assert one.startswith("rules.yml:1:54: ") and "warning" not in one


def test_a_file_that_is_not_there() -> None:
    (one,) = problems("{rules: [no-rules.yml]}")
    assert one.startswith("<text>:7:20: there is no file 'no-rules.yml'")


def test_rules_are_for_the_operator_that_comes_along() -> None:
    with pytest.raises(ScenarioError, match="rules are read by the operator that comes along"):
        load_text(SCENARIO.format(operator="{rules: [rules.yml], enabled: false}", scale=1.0))


def test_the_command_checks_files(here: Path) -> None:
    (here / "bad.yml").write_text("groups: [{name: a, rules: [{alert: A, expr: 'rate(x)'}]}]", encoding="utf-8")
    done = CliRunner().invoke(cli, ["rules", "check", "rules.yml", "bad.yml", "--lasts", "40s"])
    assert done.exit_code == 2
    assert "rules.yml: 1 rule can be evaluated" in done.output and "bad.yml:1:46: no PromQL" in done.output
    assert "rules.yml:1:28: warning: Down can never fire in time" in done.output
    done = CliRunner().invoke(cli, ["rules", "check", "--json"])
    assert done.exit_code == 0 and '"errors": []' in done.output
    assert CliRunner().invoke(cli, ["rules", "check", "--lasts", "soon"]).exit_code == 2


def test_the_command_exports_rules_a_dashboard_and_burn_rates(here: Path) -> None:
    runner = CliRunner()
    assert runner.invoke(cli, ["rules", "export", "rules.yml"]).output == RULES
    assert '"title": "Down"' in runner.invoke(cli, ["rules", "export", "rules.yml", "--as", "grafana"]).output
    assert runner.invoke(cli, ["rules", "export"]).output.startswith("# Rules on the telemetry contract")
    assert runner.invoke(cli, ["rules", "export", "rules.yml", "rules.yml"]).exit_code == 2
    assert "ErrorBudgetBurnsFast" in runner.invoke(cli, ["rules", "burn", "--objective", "99.5"]).output
    refused = runner.invoke(cli, ["rules", "burn", "--objective", "100"])
    assert refused.exit_code == 2 and "between 0 % and 100 %" in refused.output
