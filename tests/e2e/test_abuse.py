"""Abuse of the reference gateway, as the release pipeline has it done: every attempt is refused, and nothing of the stack is left."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.pipeline.step import Context
from harness.pipeline.steps.security.abuse import Abuse, carry_out
from harness.score.check import Status
from harness.security.abuse.plan import FAMILIES
from tests.e2e.live_run import assert_clean

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]


def test_the_reference_gateway_holds(tmp: Path) -> None:
    step = tmp / "step"
    step.mkdir()
    context = Context(step, ROOT, {}, {}, print, lambda: False)
    done = carry_out(Abuse(plan="environments/abuse/reference.yaml", stack="processes"), context)
    attempts = json.loads((step / "attempts.json").read_text(encoding="utf-8"))["attempts"]
    assert [one for one in attempts if one["status"] != "PASS"] == []
    assert done.status is Status.PASS and len(attempts) > 45
    assert {one["family"] for one in attempts} == set(FAMILIES) - {"tenants"}
    assert {"expired", "without_expiry", "limit"} <= {one["name"] for one in attempts}
    assert_clean(tmp)
