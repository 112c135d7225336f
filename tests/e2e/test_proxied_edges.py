"""Proxies on edges to services that are looked up: every instance is reached through one, wherever it moves, and nobody is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from harness.faults.admin_client import call
from harness.faults.base import Context
from harness.faults.registry import build
from harness.record.clock import SystemClock
from harness.scenario.model import FaultUse
from harness.stack.options import StackOptions
from harness.stack.processes import ProcessStack
from tests.e2e.running_stack import until

pytestmark = [pytest.mark.e2e, pytest.mark.beside]

EDGE = ("query", "retrieval")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessStack]:
    folder = tmp_path_factory.mktemp("edges")
    made = ProcessStack(StackOptions("edges", folder / "work", folder, documents=40, proxied_edges=frozenset({EDGE})))
    made.start()
    try:
        yield made
    finally:
        made.stop()


def search(stack: ProcessStack) -> int:
    headers = {"authorization": f"Bearer {stack.api_key}"}
    asked = {"query": "module", "top_k": 2}
    return httpx.post(f"{stack.entry_url}/api/search", json=asked, headers=headers, timeout=20.0).status_code


def status(stack: ProcessStack) -> dict[str, Any]:
    found: dict[str, Any] = call(stack.proxy(*EDGE), "GET", "/status")
    return found


def told(stack: ProcessStack, service: str) -> list[str]:
    """What anybody who watches reads."""
    document = json.loads(Path(stack.targets()["registry"]).read_text())
    return [entry["url"] for entry in document["services"][service]]


def upstreams(stack: ProcessStack) -> set[str]:
    return {f"http://{route['upstream']}" for route in status(stack)["routes"].values()}


def test_every_instance_is_reached_through_the_proxy_and_watchers_see_where_they_are(stack: ProcessStack) -> None:
    before = status(stack)["connections"]
    assert [search(stack) for _ in range(4)] == [200] * 4
    assert status(stack)["connections"] > before
    direct = [instance.url for instance in stack.instances("retrieval")]
    assert (told(stack, "retrieval"), upstreams(stack)) == (direct, set(direct))


def test_an_instance_that_joins_or_moves_is_reached_through_it_too(stack: ProcessStack) -> None:
    stack.scale("retrieval", 3)
    assert stack.instances("retrieval")[2].url in upstreams(stack)
    stack.restart("retrieval-1")
    assert search(stack) == 200
    stack.deploy("retrieval", "1.0.3")
    moved = {instance.url for instance in stack.instances("retrieval")}
    assert moved <= upstreams(stack)
    assert [search(stack) for _ in range(4)] == [200] * 4
    stack.scale("retrieval", 2)
    assert [search(stack) for _ in range(4)] == [200] * 4


def test_a_fault_of_the_edge_is_felt_by_users_and_others_are_counted(stack: ProcessStack) -> None:
    use = FaultUse.model_validate({"id": "edge", "type": "http.status", "target": "->".join(EDGE), "for": "30s", "with": {"status": 500}})
    fault = build(use, Context(stack, SystemClock(), Random(1))).fault
    fault.inject()
    try:
        answers = [search(stack) for _ in range(3)]
        evidence = fault.verify()
    finally:
        fault.heal()
    assert 200 not in answers
    assert evidence is not None and evidence["requests_touched"] > evidence["own_requests"]
    until(lambda: fault.gone() is not None)
