"""Faults of hosts on a stack made of variables: victims, evidence from both sides, truth, and what takes them back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest

from harness.faults.base import Context, Fault, FaultError, Undo
from harness.faults.registry import build
from harness.scenario.catalog import StackInfo
from harness.scenario.model import FaultUse
from harness.stack.base import CAPABILITIES, HostLook, Instance, StackError
from harness.testing import FakeClock

VERBS = {"host.killed": "kill", "host.paused": "pause", "host.partitioned": "cut", "host.drained": "drain"}
SILENT = [name for name in VERBS if name != "host.drained"]


@dataclass
class Spread:
    """Where instances are, which hosts are silent, and what the managers say of them."""

    info = StackInfo(
        name="spread",
        services={"gateway": 1, "query": 1, "retrieval": 2},
        edges=frozenset({("gateway", "query"), ("query", "retrieval")}),
        capabilities=frozenset(CAPABILITIES),
        journeys=frozenset(),
        hosts=("a", "b", "empty"),
    )
    places: dict[str, str] = field(default_factory=lambda: {"gateway-1": "a", "query-1": "b", "retrieval-1": "a", "retrieval-2": "b"})
    silent: set[str] = field(default_factory=set)
    states: dict[str, str] = field(default_factory=dict)
    availability: dict[str, str] = field(default_factory=dict)
    done: list[tuple[str, str, bool]] = field(default_factory=list)
    address: str = "127.0.0.1"

    def instances(self, service: str) -> Sequence[Instance]:
        """The URL says on which host it is."""
        wanted = [f"{service}-{n + 1}" for n in range(self.info.services[service])]
        return [Instance(service, name, f"http://{self.address}:1/{self.places[name]}", "1") for name in wanted]

    def instances_on(self, host: str) -> Sequence[Instance]:
        if host not in self.info.hosts:
            raise StackError(f"no node {host}")
        return [i for service in self.info.services for i in self.instances(service) if self.places[i.name] == host]

    def probe(self, instance: Instance) -> str | None:
        return "no route" if instance.url.rpartition("/")[2] in self.silent else None

    def look_at_host(self, host: str) -> HostLook:
        silent = "no route" if host in self.silent else None
        return HostLook(silent, self.states.get(host, "ready"), self.availability.get(host, "active"))

    def _set(self, host: str, verb: str, broken: bool) -> None:
        self.done.append((host, verb, broken))
        (self.silent.add if broken else self.silent.discard)(host)

    def set_host_killed(self, host: str, killed: bool) -> None:
        self._set(host, "kill", killed)

    def set_host_paused(self, host: str, paused: bool) -> None:
        self._set(host, "pause", paused)

    def set_host_cut(self, host: str, cut: bool) -> None:
        self._set(host, "cut", cut)

    def set_host_drained(self, host: str, drained: bool) -> None:
        self.done.append((host, "drain", drained))
        self.availability[host] = "drain" if drained else "active"

    def restoring_host_command(self, host: str, verb: str) -> Sequence[str]:
        return ["restore", host, verb]


def made(stack: Any, name: str, target: str = "b", **context: Any) -> Fault:
    return known(stack, name, target, **context).fault


def known(stack: Any, name: str, target: str = "b", **context: Any) -> Any:
    use = FaultUse.model_validate({"id": "f", "type": name, "target": target, "for": "30s"})
    return build(use, Context(stack, FakeClock(), Random(1), **context))


@pytest.mark.parametrize("name", SILENT)
def test_a_host_that_is_lost_is_silent_with_all_that_was_on_it_until_it_is_healed(name: str) -> None:
    stack = Spread()
    fault = made(stack, name)
    assert fault.verify() is None and fault.gone() is not None
    fault.inject()
    fault.inject()
    evidence = fault.verify()
    assert evidence is not None and set(evidence["unreachable"]) == {"query-1", "retrieval-2"}
    assert fault.gone() is None
    fault.heal()
    fault.heal()
    found = fault.gone()
    assert found is not None and found["ready"] == ["query-1", "retrieval-2"]
    assert fault.verify() is None
    assert {verb for _, verb, _ in stack.done} == {VERBS[name]}


@pytest.mark.parametrize("name", SILENT)
def test_evidence_takes_both_the_host_and_everything_on_it(name: str) -> None:
    stack = Spread()
    fault = made(stack, name)
    fault.inject()
    stack.silent.clear()
    assert fault.verify() is None, "the host answers"
    stack.silent.add("b")
    assert fault.verify() is not None
    stack.places["query-1"] = "a"
    assert fault.verify() is not None, "what was moved is asked where it was"


@pytest.mark.parametrize("name", VERBS)
def test_it_is_gone_when_the_host_takes_part_and_all_of_it_serves_wherever_it_is(name: str) -> None:
    stack = Spread()
    fault = made(stack, name)
    fault.inject()
    stack.places |= {"query-1": "a", "retrieval-2": "a"}
    stack.states["b"] = "down"
    fault.heal()
    assert fault.gone() is None, "its managers count it as down"
    stack.states["b"] = "ready"
    stack.silent.add("a")
    assert fault.gone() is None, "what was on it does not serve"
    stack.silent.clear()
    assert fault.gone() is not None


def test_nothing_answers_any_more_on_a_drained_host() -> None:
    """Whether what was there has begun to serve elsewhere is no question of whether it bites."""
    stack = Spread()
    fault = made(stack, "host.drained")
    fault.inject()
    stack.places["query-1"] = "a"
    assert fault.verify() is None, "instances still answer where they were"
    stack.silent.add("b")
    evidence = fault.verify()
    assert evidence is not None and set(evidence["unreachable"]) == {"query-1", "retrieval-2"}
    stack.availability["b"] = "active"
    assert fault.verify() is None, "silence alone is no drain"
    stack.availability["b"] = "drain"
    stack.silent.clear()
    stack.places["retrieval-2"] = "a"
    assert fault.gone() is None
    fault.heal()
    assert fault.gone() is not None and fault.verify() is None


@pytest.mark.parametrize("name", VERBS)
def test_it_is_taken_back_without_the_harness_by_the_command_of_the_node(name: str) -> None:
    assert made(Spread(), name).undo() == (Undo("command", {"argv": ["restore", "b", VERBS[name]]}),)


def test_the_truth_is_what_runs_there_when_it_is_told() -> None:
    stack = Spread()
    fault = known(stack, "host.killed")
    assert fault.truth["service"] == "b"
    assert fault.truth["accepted"] == ["b", "query", "retrieval"]
    assert fault.truth["instances"] == ["query-1", "retrieval-2"]
    assert fault.truth["blast_radius"] == ["b", "gateway", "query", "retrieval"]
    assert fault.truth["recoverable_by"] == ["restart", "scale", "failover"]
    stack.places["query-1"] = "a"
    assert fault.truth["accepted"] == ["b", "retrieval"]
    fault.fault.inject()
    stack.places["retrieval-2"] = "a"
    assert fault.truth["instances"] == ["retrieval-2"], "who was hit stays so"


def test_a_host_with_nothing_on_it_is_no_target() -> None:
    with pytest.raises(FaultError, match="nothing of the stack runs on empty"):
        made(Spread(), "host.killed", "empty")


def test_an_instance_elsewhere_must_be_allowed() -> None:
    stack = Spread(address="192.0.2.9")
    with pytest.raises(FaultError, match=r"allow_hosts: \[192\.0\.2\.9\]"):
        made(stack, "host.killed")
    assert made(stack, "host.killed", allowed_hosts=frozenset({"192.0.2.9"})).target.service == "b"


def test_a_fault_of_a_service_is_none_of_a_host() -> None:
    with pytest.raises(FaultError, match=r"process\.kill goes to service or instance; 'b' is a host"):
        made(Spread(), "process.kill")
