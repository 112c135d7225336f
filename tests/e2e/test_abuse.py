"""Abuse of the reference gateway, as it runs: every attempt is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.pipeline.step import Context
from harness.pipeline.steps.security.abuse import Abuse, carry_out
from harness.score.check import Status
from harness.stack.processes import ProcessStack
from tests.e2e.running_stack import options, started

pytestmark = pytest.mark.e2e

PLAN = """
url: {url}
key: {{environment: KEY}}
routes:
  protected: {{get: /api/usage}}
  token: {{post: /api/auth/token, json: {{}}, field: access_token}}
  ask: {{post: /api/ask, json: {{question: "{{text}}"}}, field: answer}}
  ingest: {{post: /api/documents, json: {{doc_id: "{{id}}", title: "a document", text: "{{text}}"}}}}
  document: {{get: "/api/documents/{{id}}", field: status, done: [indexed]}}
admin: [{{get: /api/health/detailed}}]
leave_out:
  tenants: the documents of the reference stack are one corpus, which all its users share
  rate: the key of the load has no limit; the limiter has tests of its own
"""


def test_the_reference_gateway_holds(tmp_path: Path) -> None:
    chosen = options(tmp_path / "logs")
    stack = ProcessStack(chosen)
    with started(stack, chosen):
        (tmp_path / "abuse.yaml").write_text(PLAN.format(url=stack.entry_url))
        (tmp_path / "step").mkdir()
        context = Context(tmp_path / "step", tmp_path, {"KEY": stack.api_key}, {}, print, lambda: False)
        done = carry_out(Abuse(plan="abuse.yaml"), context)
        attempts = json.loads((tmp_path / "step" / "attempts.json").read_text())["attempts"]
    assert [one for one in attempts if one["status"] != "PASS"] == []
    assert done.status is Status.PASS and len(attempts) > 30
