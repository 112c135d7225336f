"""What every fault of the catalogue keeps: it bites, it says so by evidence, it goes, and it can be taken back without the harness.

The same tests run over a stack of tiny processes, and (e2e) over the embedded reference stack.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

import pytest

from harness.faults.base import Context, Evidence, Fault
from harness.faults.chat_probe import ChatProbe, ChatProbeError
from harness.faults.registry import CATALOG, build
from harness.faults.undo import execute
from harness.record.clock import NS_PER_S, SystemClock
from harness.scenario.model import FaultUse
from harness.stack.base import KeyedProviders, Stack, capabilities_of
from harness.stack.options import StackOptions
from harness.stack.processes import ProcessStack
from tests.contract.small_stack import EDGE, SmallStack
from tests.contract.uses import USES

WITHIN_S = 15.0
LOOK_EVERY_S = 0.05

BREAKING = [name for name, spec in CATALOG.items() if not spec.benign]


@pytest.fixture(scope="module", params=["small", pytest.param("reference", marks=pytest.mark.e2e)])
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("faults")
    made: Stack = SmallStack(folder) if request.param == "small" else reference_stack(folder)
    try:
        made.start()
        with callers_of_the_provider(made):
            yield made
    finally:
        made.stop()


@contextmanager
def callers_of_the_provider(stack: Stack) -> Iterator[None]:
    """Somebody else who asks the provider all the time: a fault that hits nobody is no fault."""
    probe = ChatProbe(stack.instances("llm")[0].url, SystemClock(), stack.provider_key if isinstance(stack, KeyedProviders) else None)
    ended = threading.Event()

    def ask() -> None:
        while not ended.wait(0.1):
            with suppress(ChatProbeError):
                probe.ask("What is asked all day?", 5.0)

    thread = threading.Thread(target=ask, name="callers")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def reference_stack(folder: Path) -> ProcessStack:
    return ProcessStack(StackOptions("fault-contract", folder / "work", folder, documents=40, proxied_edges=frozenset({EDGE})))


def make(name: str, stack: Stack) -> Fault:
    use = FaultUse.model_validate({"id": "contract", "type": name, "for": "30s", **USES[name]})
    return build(use, Context(stack, SystemClock(), Random(5))).fault


def evidence_of(look: Callable[[], Evidence | None]) -> Evidence:
    """Look until there is evidence."""
    clock = SystemClock()
    deadline_ns = clock.now_ns() + round(WITHIN_S * NS_PER_S)
    while (found := look()) is None:
        assert clock.now_ns() < deadline_ns, "no evidence in time"
        clock.sleep(LOOK_EVERY_S)
    assert found == json.loads(json.dumps(found)), "evidence goes into the record"
    return found


@pytest.mark.parametrize("name", [name for name in CATALOG if name.startswith("llm.")])
def test_a_fault_on_a_provider_that_nobody_calls_has_no_effect(name: str, tmp_path: Path) -> None:
    stack = SmallStack(tmp_path)
    stack.start()
    try:
        fault = make(name, stack)
        fault.inject()
        assert [fault.verify() for _ in range(3)] == [None] * 3
        fault.heal()
    finally:
        stack.stop()


def test_every_fault_has_a_row_here() -> None:
    assert set(USES) == set(CATALOG)


@pytest.mark.parametrize("name", CATALOG)
def test_a_fault_needs_what_the_stack_has(name: str, stack: Stack) -> None:
    assert CATALOG[name].fits(capabilities_of(stack))


@pytest.mark.parametrize("name", BREAKING)
def test_it_bites_and_goes_twice(name: str, stack: Stack) -> None:
    fault = make(name, stack)
    for _ in range(2):
        assert fault.verify() is None, "evidence without a fault proves nothing"
        assert evidence_of(fault.gone)
        fault.inject()
        assert evidence_of(fault.verify)
        assert fault.gone() is None, "it is there"
        fault.heal()
        assert evidence_of(fault.gone)
        fault.heal()  # idempotent
        assert evidence_of(fault.gone)


@pytest.mark.parametrize("name", BREAKING)
def test_healing_what_was_never_injected_changes_nothing(name: str, stack: Stack) -> None:
    def pids() -> dict[str, int | None]:
        return {instance.name: instance.pid for service in stack.info.services for instance in stack.instances(service)}

    before = pids()
    fault = make(name, stack)
    fault.heal()
    assert evidence_of(fault.gone)
    assert pids() == before


@pytest.mark.parametrize("name", [name for name in BREAKING if name not in ("process.kill", "cache.down")])
def test_the_lease_alone_takes_it_back(name: str, stack: Stack, tmp_path: Path) -> None:
    fault = make(name, stack)
    undo = fault.undo()
    fault.inject()
    assert evidence_of(fault.verify)
    assert [execute(entry, tmp_path).ok for entry in reversed(undo)] == [True] * len(undo) != []
    assert evidence_of(fault.gone)


def test_a_dead_process_is_taken_back_by_ending_the_stack(stack: Stack) -> None:
    assert (make("process.kill", stack).undo(), make("cache.down", stack).undo()) == ((), ())


def test_a_restart_by_somebody_else_heals_the_dead_and_is_not_repeated(stack: Stack) -> None:
    for name in ("process.kill", "cache.down"):
        fault = make(name, stack)
        fault.inject()
        assert evidence_of(fault.verify)
        assert fault.target.instance is not None
        stack.restart(fault.target.instance)  # type: ignore[attr-defined]  # both stacks are Restartable
        restarted = stack.instances(fault.target.service)
        fault.heal()
        assert evidence_of(fault.gone)
        assert stack.instances(fault.target.service) == restarted


def test_a_rolling_deploy_brings_every_instance_to_the_version_and_stays(stack: Stack) -> None:
    fault = make("deploy.rolling", stack)
    assert fault.verify() is None
    fault.inject()
    found = evidence_of(fault.verify)
    assert found == {"versions": {"retrieval-1": "1.0.7", "retrieval-2": "1.0.7"}}
    fault.heal()
    assert evidence_of(fault.gone) == {"ready": {"retrieval-1": True, "retrieval-2": True}}
    assert fault.verify() == found
