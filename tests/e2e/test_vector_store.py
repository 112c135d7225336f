"""The reference stack with a vector store of its own: a short run of everything, with a fault on the way to the store."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.record import events as ev
from tests.e2e.conftest import StartRun, too_busy

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
SCENARIO = """
name: on-qdrant
hypothesis: With Qdrant under it the stack serves as ever, and a slow way to it is found by name.
stack: {use: reference, vector_store: qdrant, documents: 60, replicas: {retrieval: 2, generation: 1}}
load: {shape: [{constant: 16/s}], mix: {ask: 4, ask_stream: 1, search: 1, ingest: 4}, timeout: 5s}
phases: {warmup: 2s, steady_state: 8s, fault: 6s, recovery: 2s}
faults:
  - {id: far-away, type: network.latency, target: retrieval->vector, at: fault, for: 4s, with: {delay: 200ms}}
objectives:
  steady_state: {availability: ">= 90%", recall_at_5: ">= 0.7", degraded: "<= 5%"}
operator: {enabled: false}
"""


def test_a_run_on_qdrant_passes(start_run: StartRun) -> None:
    for last in (False, False, True):  # again where the machine was too busy for a steady state
        run = start_run(SCENARIO, "--json")
        code, out = run.finish(within_s=90)
        if last or not too_busy(out):
            break
    verdict: dict[str, Any] = json.loads(out)
    assert code == 0, [check for check in verdict["checks"] if check["status"] != "PASS"]
    checks = {check["name"]: check["status"] for check in verdict["checks"]}
    assert checks["validity.fault.far-away"] == checks["safety.far-away.gone"] == "PASS"
    (ready,) = [event.data for event in run.events() if event.kind == ev.STACK and event.data["state"] == "ready"]
    assert ready["instances"]["vector"] == ["vector-1"]
    logged = [json.loads(line) for line in (run.record / "logs" / "vector-1.log").read_text(encoding="utf-8").splitlines()]
    searches = [line for line in logged if line.get("route") == "/collections/{name}/points/query"]
    assert searches and {line["status"] for line in searches} == {200}
    traced = {line["trace_id"] for line in searches if line["trace_id"]}
    assert len(traced) == len(searches)
