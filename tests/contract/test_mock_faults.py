"""What is so of every fault that a mock plays by itself, beyond what all faults keep."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest

from harness.faults.admin_client import call
from harness.faults.base import Context, Fault, FaultError
from harness.faults.registry import build
from harness.record.clock import SystemClock
from harness.scenario.model import FaultUse
from tests.contract.small_stack import SmallStack
from tests.contract.test_faults import evidence_of, make_as_used
from tests.contract.traffic import traffic
from tests.contract.uses import USES

NAMES = [name for name in sorted(USES) if name.partition(".")[0] in ("llm", "embedding", "vector") and not USES[name].real]


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallStack]:
    """A stack that nobody uses."""
    stack = SmallStack(tmp_path_factory.mktemp("quiet"))
    stack.start()
    try:
        yield stack
    finally:
        stack.stop()


@pytest.mark.parametrize("name", NAMES)
def test_a_fault_that_nobody_else_meets_has_no_effect(quiet: SmallStack, name: str) -> None:
    fault = make_as_used(name, quiet)
    fault.inject()
    try:
        assert [fault.verify() for _ in range(2)] == [None] * 2
    finally:
        fault.heal()
    assert evidence_of(fault.gone, "it is gone")


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallStack]:
    """One whose mocks have callers of every kind."""
    stack = SmallStack(tmp_path_factory.mktemp("busy"))
    stack.start()
    try:
        with traffic(stack, ("chat", "embed", "store")):
            yield stack
    finally:
        stack.stop()


def fault_of(stack: SmallStack, name: str, parameters: dict[str, Any], id_: str = "shaped") -> Fault:
    target = "vector" if name.startswith("vector.") else "llm"
    use = FaultUse.model_validate({"id": id_, "type": name, "target": target, "for": "30s", "with": parameters})
    return build(use, Context(stack, SystemClock(), Random(5))).fault


SHAPED: list[tuple[str, dict[str, Any]]] = [
    ("llm.server_error", {"probability": 0.3}),
    ("llm.server_error", {"after": 20}),
    ("llm.server_error", {"every": 5}),
    ("llm.server_error", {"burst": {"interval": "500ms", "duration": "200ms"}}),
    ("llm.server_error", {"window": {"start": "300ms", "duration": "20s"}}),
    ("llm.server_error", {"ramp": {"over": "1s"}}),
    ("llm.server_error", {"quota": {"rate": "5/s", "burst": 2}}),
    ("llm.server_error", {"count": "request", "after": 0, "first": 1}),
    ("llm.stream_reset", {"probability": 0.3}),
    ("llm.connection_refused", {"burst": {"interval": "400ms", "duration": "200ms"}}),
    ("llm.connection_refused", {"window": {"start": "200ms", "duration": "20s"}}),
    ("embedding.nan", {"every": 3}),
    ("vector.empty_results", {"probability": 0.4}),
    ("vector.service_error", {"quota": {"rate": "5/s"}}),
]
MATCHED: list[tuple[str, dict[str, Any]]] = [
    ("llm.server_error", {"routes": "/v1/embeddings"}),
    ("llm.server_error", {"stream": True}),
    ("llm.server_error", {"stream": False, "routes": ["/v1/chat/completions"]}),
    ("llm.server_error", {"models": ["rag-chat"]}),
    ("llm.server_error", {"prompt": "frobnication"}),
    ("llm.overloaded", {"dialects": "openai"}),
    ("vector.service_error", {"operations": "query"}),
    ("vector.service_error", {"kinds": ["write"]}),
    ("vector.slow_answer", {"operations": ["collection_list"]}),
]


@pytest.mark.parametrize(
    ("name", "parameters"),
    [*SHAPED, *((name, {"match": match}) for name, match in MATCHED)],
    ids=lambda value: value if isinstance(value, str) else str(value),
)
def test_it_is_seen_by_a_request_of_our_own_whenever_and_whomever_it_hits(busy: SmallStack, name: str, parameters: dict[str, Any]) -> None:
    fault = fault_of(busy, name, parameters)
    fault.inject()
    try:
        found = evidence_of(fault.verify, f"{name} {parameters}")
    finally:
        fault.heal()
    assert "own_request" not in found
    assert found["applied_to_others"] if "applied_to_others" in found else found["callers_before"]
    assert evidence_of(fault.gone, "it is gone")


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("llm.server_error", {"first": 1}), ("vector.service_error", {"match": {"collections": ["library"]}})],
)
def test_what_no_request_of_ours_need_meet_is_told_by_the_journal_alone_and_says_so(
    busy: SmallStack, name: str, parameters: dict[str, Any]
) -> None:
    fault = fault_of(busy, name, parameters)
    fault.inject()
    try:
        found = evidence_of(fault.verify, f"{name} {parameters}")
    finally:
        fault.heal()
    assert found["own_request"].startswith("none was sent") and found["applied_to_others"] > 0
    assert evidence_of(fault.gone, "it is gone")


def test_a_fault_for_somebody_who_never_comes_has_no_effect(busy: SmallStack) -> None:
    fault = fault_of(busy, "llm.server_error", {"match": {"tenants": ["nobody"]}})
    fault.inject()
    try:
        assert [fault.verify() for _ in range(3)] == [None] * 3
    finally:
        fault.heal()


def test_two_at_once_on_one_service_are_told_apart(busy: SmallStack) -> None:
    """The one that is taken back first is gone, though the answers are not yet what they were."""
    slow = fault_of(busy, "llm.slow_first_token", {"ttft": "100ms"}, "slow")
    wrong = fault_of(busy, "llm.wrong_model", {"model": "rag-chat-mini"}, "wrong")
    for fault in (slow, wrong):
        fault.inject()
    try:
        assert evidence_of(wrong.verify, "the wrong model")["model"] == "rag-chat-mini"
        assert evidence_of(slow.verify, "the slow token")["measured_s"] >= 0.09
    finally:
        slow.heal()
    assert evidence_of(slow.gone, "the slow one is gone")["other_faults"] == 1
    wrong.heal()
    assert evidence_of(wrong.gone, "the other one, too")["other_faults"] == 0


def test_what_the_service_does_anyway_is_refused(busy: SmallStack) -> None:
    with fault_from_elsewhere(busy, {"type": "forbidden", "match": {"routes": ["/v1/chat/completions"]}}):
        with pytest.raises(FaultError, match=r"llm does that already .*403"):
            fault_of(busy, "llm.forbidden", {}).inject()
        fault_of(busy, "llm.conflict", {}).inject()  # as one of two at once
    fault_of(busy, "llm.conflict", {}).heal()


@contextmanager
def fault_from_elsewhere(stack: SmallStack, document: dict[str, Any]) -> Iterator[None]:
    call(stack.admin("llm"), "PUT", "/admin/faults/elsewhere", document)
    try:
        yield
    finally:
        call(stack.admin("llm"), "DELETE", "/admin/faults/elsewhere")
