"""A whole run on the reference stack in containers: the scenario file of the run on processes, with the same verdict."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from harness.record import events as ev
from harness.sweep_containers import RUN_LABEL
from tests.e2e.conftest import finished_run
from tests.e2e.docker_engine import docker, need_docker
from tests.e2e.live_run import gauntlet

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def test_the_same_scenario_passes_on_containers_and_leaves_nothing() -> None:
    need_docker()
    with finished_run("--stack", "containers") as run:
        assert run.finished is not None
        code, out = run.finished
        verdict = json.loads(out)
        assert (code, verdict["verdict"]) == (0, "PASS"), [c for c in verdict["checks"] if c["status"] != "PASS"]
        bitten = next(event for event in run.events() if event.kind == ev.FAULT and event.data["step"] == "effective")
        assert set(bitten.data["evidence"]["states"].values()) == {"frozen"}
        assert str(run.tmp) not in docker("ps", "--all", "--no-trunc", "--filter", f"label={RUN_LABEL}", "--format", "{{.Mounts}}")
        logs = {path.stem for path in (run.record / "logs").glob("*.log")}
        assert {"gateway-1", "retrieval-1", "retrieval-2", "postgres-1", "cache-1", "llm-1"} <= logs


def test_without_an_engine_the_run_does_not_start_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text(
        "name: nowhere\nstack: {use: reference, driver: containers}\nload: {shape: [{constant: 5/s}]}\nphases: {steady_state: 5s}\n"
    )
    done = gauntlet("run", scenario, "--out", tmp_path / "runs", "--json", tmp=tmp_path)
    assert done.returncode == 4, done.stderr
    assert f"no Docker engine answers at {os.fspath(tmp_path)}/none.sock" in json.loads(done.stdout)["reason"]
    assert list(tmp_path.glob("gauntlet-*")) == []
