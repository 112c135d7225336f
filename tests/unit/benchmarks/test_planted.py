"""The planted defects: each can be planted in this source, its pipeline is one, and what is not as it should be is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.deploy.loading import DeployError, plan_of_text
from harness.pipeline.loading import load_text
from tests.benchmarks.planted.defects import CONTROL, DEFECTS, Defect
from tests.benchmarks.planted.project import ROOT, deploy_file, derived, plant
from tests.benchmarks.planted.trial import problems, told
from tests.benchmarks.planted_defects import table

RELEASE = yaml.safe_load((ROOT / "pipelines/release.yaml").read_text(encoding="utf-8"))
BY_NAME = {defect.name: defect for defect in DEFECTS}


@pytest.mark.parametrize("defect", [*DEFECTS, CONTROL], ids=lambda d: d.name)
def test_each_can_be_planted_and_has_a_pipeline(defect: Defect, tmp_path: Path) -> None:
    for n, edit in enumerate(defect.edits):
        copy = tmp_path / f"{n}.py"
        copy.write_text((ROOT / edit.file).read_text(encoding="utf-8"), encoding="utf-8")
        plant(copy, edit.old, edit.new)
        compile(copy.read_text(encoding="utf-8"), str(copy), "exec")
    text = yaml.safe_dump(derived(RELEASE, defect, "image:1"), sort_keys=False)
    (tmp_path / "p.yaml").write_text(text, encoding="utf-8")
    stages = load_text(text, str(tmp_path / "p.yaml")).pipeline.stages
    assert not defect.stage or defect.step in {step.id for step in stages[defect.stage].steps}


def refused(defect: Defect) -> str:
    """Why its deploy file cannot be used; empty where it can."""
    try:
        plan_of_text(deploy_file(defect), "planted/deploy.yaml", "blue_green")
    except DeployError as error:
        return str(error.problems[0])
    return ""


def test_only_the_deploy_file_with_the_bad_url_cannot_be_used() -> None:
    told = {defect.name: why for defect in (*DEFECTS, CONTROL) if (why := refused(defect))}
    assert list(told) == ["bad-url"]
    assert told["bad-url"].startswith("planted/deploy.yaml:") and "REDIS_URL: the URL has no scheme" in told["bad-url"]


def test_a_place_that_has_changed_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\nx = 1\n", encoding="utf-8")
    with pytest.raises(ValueError, match="2 times"):
        plant(tmp_path / "a.py", "x = 1\n", "x = 2\n")


def test_a_stage_without_light_steps_is_told() -> None:
    with pytest.raises(ValueError, match="without light steps: publish"):
        derived({"stages": {**RELEASE["stages"], "publish": {"steps": []}}}, CONTROL, "image:1")


def document(status: str, reason: str, behind: str = "needs deploy, which FAILED (blue-green)") -> dict[str, Any]:
    """Of a run that came as far as its deploy."""
    stopped = status != "PASS"

    def stage(name: str, needs: list[str], **step: Any) -> dict[str, Any]:
        return {"name": name, "needs": needs, "steps": [{"state": "finished", "reason": "", "seconds": 2.0, **step}]}

    last = {"state": "not_run", "status": None, "reason": behind, "seconds": None} if stopped else {"status": "PASS"}
    stages = [
        stage("build", [], id="wheel", status="PASS"),
        stage("deploy", ["build"], id="blue-green", status=status, reason=reason),
        stage("monitor", ["deploy"], id="alerts", **last),
    ]
    return {"verdict": status, "reason": f"deploy/blue-green: {reason}", "seconds": 9.0, "stages": stages}


RIGHT = "stopped by deploy.smoke: wrong answers: 1 of 10 questions with known answers were answered rightly; 1.0.0 serves"


def found(defect: Defect, *, exit_code: int = 1, left: tuple[str, ...] = (), **of_document: Any) -> list[str]:
    row = {"defect": defect.name, "exit_code": exit_code, "left": list(left), **told(defect, document(**of_document))}
    return problems(defect, json.loads(json.dumps(row)))


def test_what_was_stopped_where_it_should_be_has_no_problem() -> None:
    assert found(BY_NAME["wrong-answers"], status="FAIL", reason=RIGHT) == []
    assert found(CONTROL, exit_code=0, status="PASS", reason="promoted") == []


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("wrong-answers", {"status": "PASS", "reason": RIGHT, "exit_code": 0}, "stopped by nothing"),
        ("wrong-answers", {"status": "INCONCLUSIVE", "reason": RIGHT, "exit_code": 3}, "INCONCLUSIVE, exit code 3"),
        ("wrong-answers", {"status": "FAIL", "reason": "no"}, "does not say 'deploy.smoke'"),
        ("wrong-answers", {"status": "FAIL", "reason": RIGHT, "left": ("process 7",)}, "left: process 7"),
        ("wrong-answers", {"status": "FAIL", "reason": RIGHT, "behind": "not selected"}, "does not say why it did not run: 'not selected'"),
        ("wrong-answers", {"status": "FAIL", "reason": RIGHT, "behind": "needs build"}, "says: needs deploy, which FAILED (blue-green)"),
        (
            "silent-alert-rule",
            {"status": "FAIL", "reason": RIGHT},
            "stopped by deploy/blue-green; wanted FAIL, exit code 1, stopped by monitor/alerts",
        ),
    ],
)
def test_what_is_not_as_it_should_be_is_told(name: str, given: dict[str, Any], said: str) -> None:
    assert any(said in one for one in found(BY_NAME[name], **given))


def test_the_control_may_be_stopped_by_nothing() -> None:
    assert found(CONTROL, status="FAIL", reason=RIGHT) != []


def test_what_was_not_tried_is_not_as_it_should_be() -> None:
    assert table([CONTROL], {"none": None})[-1] == "0 of 1 as they should be"
