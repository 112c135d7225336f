"""Environments in a pipeline: each gets its configuration by its own strategy, what runs then says so itself, and a backup is restored."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.live_run import gauntlet

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(900),
    pytest.mark.skipif("GAUNTLET_NIGHTLY" not in os.environ, reason="takes minutes: pipelines/nightly/deploys"),
]
LAYERS = {
    "base": """
strategy: blue_green
deploy: deploys/shop.yaml
stack: {documents: 60, replicas: {retrieval: 2, generation: 1, query: 1}}
settings: {retrieval: {POOL_NOTE: common}}
recovery: {rpo: 5m, rto: 10m}
""",
    "development": "strategy: rolling\nsettings: {retrieval: {POOL_NOTE: small}}\n",
    "staging": "strategy: canary\n",
    "production": "settings: {retrieval: {POOL_NOTE: large}}\n",
}
STRATEGIES = {"development": "rolling", "staging": "canary", "production": "blue_green"}
DEPLOY = """
name: shop
change: {version: 1.1.0}
users: {rate: 5/s, mix: {ask_stream: 1, search: 1}, timeout: 40s}
objectives: {availability: ">= 90%", latency_p50: "<= 6s"}
smoke: {questions: 5}
bake: 8s
proof: {answers: 20}
canary: {weights: [40, 100], hold: 10s}
rolling: {services: [retrieval], pause: 8s}
"""
PIPELINE = """
name: shop
description: Each environment by its own strategy.
stages:
  deploy:
    steps:
      - {id: development, uses: deploy.environment, with: {environment: development}}
      - {id: staging, uses: deploy.environment, with: {environment: staging}}
      - {id: production, uses: deploy.environment, with: {environment: production}}
      - {id: drill, uses: deploy.drill, with: {environment: production}}
"""


@pytest.fixture(scope="module")
def tmp() -> Iterator[Path]:
    """The root of the pipeline, and its TMPDIR; a database of another user may pass through."""
    path = Path(tempfile.mkdtemp(prefix="e2e-"))
    path.chmod(0o711)
    (path / "environments" / "deploys").mkdir(parents=True)
    for name, text in LAYERS.items():
        (path / "environments" / f"{name}.yaml").write_text(text, encoding="utf-8")
    (path / "environments" / "deploys" / "shop.yaml").write_text(DEPLOY, encoding="utf-8")
    (path / "pipeline.yaml").write_text(PIPELINE, encoding="utf-8")
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def steps(tmp: Path) -> dict[str, Any]:
    done = gauntlet("pipeline", "run", tmp / "pipeline.yaml", "--json", "--out", tmp / "runs", tmp=tmp, timeout_s=850)
    document = json.loads(done.stdout)
    assert document["verdict"] == "PASS", document["reason"]
    return {step["id"]: {**step, "run_dir": document["run_dir"]} for stage in document["stages"] for step in stage["steps"]}


def versions_that_answered(record: Path) -> list[str]:
    answers = [json.loads(line) for line in (record / "answers.jsonl").read_text(encoding="utf-8").splitlines()]
    return [answer["version"] for answer in answers if answer.get("version") is not None]


@pytest.mark.parametrize(("name", "strategy"), STRATEGIES.items())
def test_what_was_configured_is_what_answers(steps: dict[str, Any], tmp: Path, name: str, strategy: str) -> None:
    wanted = json.loads(gauntlet("config", "show", name, "--dir", tmp / "environments", "--json", tmp=tmp).stdout)["config_id"]
    outputs = steps[name]["outputs"]
    assert (outputs["strategy"], outputs["config_id"], outputs["serving"]) == (strategy, wanted, f"1.1.0+{wanted}")
    record = Path(outputs["run_dir"])
    if strategy == "rolling":  # its entry stays: each instance said for itself that it was of this version, before users were given to it
        events = (record / "events.jsonl").read_text(encoding="utf-8")
        assert all(f"{instance}: ready, 1.1.0+{wanted}, and at least 10 requests" in events for instance in ("retrieval-1", "retrieval-2"))
    else:
        assert versions_that_answered(record)[-20:] == [f"1.1.0+{wanted}"] * 20
    assert gauntlet("deploy", "status", f"shop-{name}", tmp=tmp).returncode == 2, "the pipeline started it, and has taken it down"


def test_each_environment_has_a_configuration_of_its_own(steps: dict[str, Any]) -> None:
    assert len({steps[name]["outputs"]["config_id"] for name in STRATEGIES}) == 3


def test_the_drill_leaves_what_it_measured(steps: dict[str, Any]) -> None:
    drill = steps["drill"]
    outputs = drill["outputs"]
    assert outputs["documents"] == "61"
    assert 0 < float(outputs["rpo_s"]) < 300
    assert 0 < float(outputs["rto_s"]) < 600
    verdict = json.loads((Path(drill["run_dir"]) / drill["evidence"]["verdict"]).read_text(encoding="utf-8"))
    checks = {check["name"]: check for check in verdict["checks"]}
    assert checks["recovery.rpo"]["reason"].startswith("1 documents changed since the backup")
    assert checks["recovery.rto"]["limit"] == "<= 600s"
