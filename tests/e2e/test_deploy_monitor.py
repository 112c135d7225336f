"""The step `monitor.alerts` on real processes: an instance ends, and its alert reaches the step's own channel and resolves."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from harness.pipeline.step import Context
from harness.pipeline.steps.monitor.alerts import Alerts, carry_out
from harness.score.check import Status
from tests.e2e.live_run import ROOT, environment

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(300),
    pytest.mark.skipif("GAUNTLET_NIGHTLY" not in os.environ, reason="takes over a minute: pipelines/nightly/deploys"),
]


def test_an_alert_reaches_its_channel_and_resolves(tmp: Path) -> None:
    directory = tmp / "step"
    directory.mkdir()
    said: list[str] = []
    context = Context(directory, ROOT, environment(tmp), {}, said.append, lambda: False)
    stack = {"documents": 60, "replicas": {"retrieval": 2, "generation": 1}}
    result = carry_out(Alerts.model_validate({"stack": stack, "rate": "4/s"}), context)
    assert result.status is Status.PASS, result.reason
    assert "InstanceDown reached its channel" in result.reason
    told = [json.loads(line) for line in result.evidence["notifications"].read_text(encoding="utf-8").splitlines()]
    assert {"firing", "resolved"} <= {one["status"] for one in told}
    assert json.loads(result.evidence["dashboard"].read_text(encoding="utf-8"))["panels"]
    assert Path(result.outputs["run_dir"]).is_dir()
