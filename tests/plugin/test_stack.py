"""The reference stack under a user's tests, and faults in it."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import Session

pytest_plugins = ["pytester"]

BREAKS = """
import json, urllib.request
import pytest

def asked(stack, question):
    request = urllib.request.Request(
        f"{stack.entry_url}/api/ask", json.dumps({"question": question}).encode(),
        {"content-type": "application/json", "authorization": f"Bearer {stack.api_key}"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.status

def test_a_replica_less_is_no_outage(gauntlet_stack, inject):
    assert "retrieval-2" in gauntlet_stack.urls
    with inject("process.pause", "retrieval-2"):
        assert asked(gauntlet_stack, "What does json.loads do?") == 200

def test_a_fault_that_only_others_can_prove(gauntlet_stack, inject):
    with inject("llm.slow_first_token", "llm", ttft="300ms"):
        assert asked(gauntlet_stack, "What does json.dumps do?") == 200

def test_one_that_hits_nobody_proves_nothing(gauntlet_stack, inject):
    with inject("llm.slow_first_token", "llm", ttft="300ms"):
        pass

def test_what_the_stack_cannot_take(gauntlet_stack, inject):
    with inject("process.kill", "no-such-service"):
        pass
"""
SMALL = """name: small
hypothesis: A stack to test against.
stack: {use: reference, documents: 60, replicas: {retrieval: 2, generation: 1}}
load: {shape: [{constant: 10/s}]}
phases: {warmup: 5s, steady_state: 20s}
objectives: {steady_state: {availability: ">= 90%"}}
"""


@pytest.mark.e2e
@pytest.mark.beside
@pytest.mark.timeout(300)
def test_faults_in_a_standing_stack(session: Session) -> None:
    ended = session("--gauntlet-stack=small.yaml", files={"small.yaml": SMALL}, test_it=BREAKS)
    ended.assert_outcomes(passed=2, errors=2)
    told = ended.stdout.str()
    assert "llm.slow_first_token did not bite: " in told and "no-such-service" in told
