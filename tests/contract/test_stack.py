"""The embedded stack keeps the contract of docs/reference-stack.md and of the capability protocols."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from harness.scenario.model import Driver, StackSpec, VectorStoreName
from harness.stack.base import CAPABILITIES, Stack, StackError, capabilities_of
from harness.stack.catalog import (
    CONTAINER_CAPABILITIES,
    KUBERNETES_CAPABILITIES,
    REFERENCE_CAPABILITIES,
    SWARM_CAPABILITIES,
    external_info,
    info_for,
    reference_info,
)
from harness.stack.containers.stack import ContainerStack
from harness.stack.external import ExternalStack
from harness.stack.kubernetes.stack import KubernetesStack
from harness.stack.options import StackOptions
from harness.stack.processes import ProcessStack
from harness.stack.swarm.stack import SwarmStack
from harness.stack.topology import MIGRATION, Topology, topology
from mocks.rag.vectorstore.base import VectorStoreName as StoreOfTheServices

DOCUMENT = (Path(__file__).parents[2] / "docs" / "reference-stack.md").read_text(encoding="utf-8")


TOPOLOGIES = tuple(topology(name) for name in get_args(VectorStoreName))


DRIVERS: dict[Driver, type[ProcessStack | ContainerStack | KubernetesStack]] = {
    "processes": ProcessStack,
    "containers": ContainerStack,
    "kubernetes": KubernetesStack,
}


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> Driver:
    name: Driver = request.param
    return name


SWARM = StackSpec.model_validate({"driver": "swarm", "nodes": {"a": "unix:///a.sock", "b": "unix:///b.sock"}})


def options(folder: Path, **changes: Any) -> StackOptions:
    return StackOptions("contract", folder / "work", folder, **changes)


def test_the_catalogue_says_what_the_reference_stack_can_do() -> None:
    assert capabilities_of(ProcessStack) == REFERENCE_CAPABILITIES <= frozenset(CAPABILITIES)
    assert capabilities_of(ContainerStack) == CONTAINER_CAPABILITIES <= frozenset(CAPABILITIES)
    assert capabilities_of(KubernetesStack) == KUBERNETES_CAPABILITIES <= frozenset(CAPABILITIES)
    assert capabilities_of(SwarmStack) == SWARM_CAPABILITIES <= frozenset(CAPABILITIES)


def test_an_external_stack_has_none() -> None:
    assert capabilities_of(ExternalStack) == frozenset()


def test_all_are_stacks(tmp_path: Path, driver: Driver) -> None:
    spec = StackSpec.model_validate({"use": "external", "services": {"api": {"url": "http://127.0.0.1:9/"}}})
    external: Stack = ExternalStack(spec)
    reference: Stack = DRIVERS[driver](options(tmp_path))
    assert (external.info, reference.info) == (external_info(spec), reference_info({}, driver=driver))
    assert external.entry_url == "http://127.0.0.1:9"


def test_the_services_are_those_of_the_document() -> None:
    names = re.search(r"Service names \(.*?\): (.*?)\. Instances", DOCUMENT, re.DOTALL)
    assert names is not None
    listed = set(re.findall(r"`(\w+)`", names[1]))
    assert listed == set().union(*(chosen.services for chosen in TOPOLOGIES))
    assert listed - set(topology().services) == {"vector"}


def test_a_scenario_may_choose_the_stores_that_the_services_know() -> None:
    assert get_args(VectorStoreName) == get_args(StoreOfTheServices)


def test_every_variable_of_a_service_is_in_the_document_for_that_service() -> None:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in DOCUMENT.splitlines() if line.startswith("| `")]
    documented = {
        name: {word.strip() for word in row[1].split(",")} for row in rows if len(row) == 3 for name in re.findall(r"`(\w+)`", row[0])
    }
    wanted = {(variable, service.name) for chosen in TOPOLOGIES for service in chosen.services.values() for variable in service.variables}
    assert {(variable, service) for variable, service in wanted if service not in documented.get(variable, set())} == set()


@pytest.mark.parametrize("chosen", TOPOLOGIES, ids=lambda chosen: chosen.vector_store)
def test_every_service_has_a_module_and_waits_only_for_what_there_is(chosen: Topology) -> None:
    for service in chosen.services.values():
        assert (service.kind in ("postgres", "redis")) == (service.module == "")
        assert service.module == "" or importlib.util.find_spec(service.module) is not None, service.module
        assert set(service.after) <= {*chosen.services, MIGRATION}
    assert {name for edge in chosen.edges for name in edge} == set(chosen.services)


def test_before_the_start_nothing_exists_and_stop_is_harmless(tmp_path: Path, driver: Driver) -> None:
    stack = DRIVERS[driver](options(tmp_path))
    assert list(tmp_path.iterdir()) == []
    assert stack.instances("query") == []
    uses: dict[str, Callable[[], object]] = {
        "Killable": lambda: stack.kill("query-1"),
        "Restartable": lambda: stack.restart("query-1"),
        "Programmable": lambda: stack.admin("llm"),
        "Placed": lambda: stack.place("query-1"),  # type: ignore[union-attr]  # where it is that capable
        "Proxied": lambda: stack.proxy("retrieval", "postgres"),  # type: ignore[union-attr]
        "Meshed": lambda: stack.mesh(),  # type: ignore[union-attr]
    }
    able = capabilities_of(stack)
    for use in (lambda: stack.entry_url, lambda: stack.instances("nobody"), *(uses[name] for name in uses if name in able)):
        with pytest.raises(StackError):
            use()
    stack.stop()
    stack.stop()


def test_a_swarm_before_its_start_is_nothing_and_its_end_is_harmless(tmp_path: Path) -> None:
    stack = SwarmStack(SWARM, options(tmp_path))
    running: Stack = stack
    assert list(tmp_path.iterdir()) == []
    assert running.instances("query") == []
    for use in (
        lambda: stack.kill("query-1"),
        lambda: stack.restart("query-1"),
        lambda: stack.scale("query", 2),
        lambda: stack.entry_url,
        lambda: stack.instances("nobody"),
        lambda: stack.admin("llm"),
        lambda: stack.admin("query"),
        lambda: stack.instances_on("a"),
        lambda: stack.look_at_host("a"),
        lambda: stack.set_host_killed("a", True),
    ):
        with pytest.raises(StackError):
            use()
    stack.stop()
    stack.stop()


def test_an_edge_that_cannot_have_a_proxy_is_refused_before_anything_starts(tmp_path: Path, driver: Driver) -> None:
    with pytest.raises(ValueError, match="no proxy can be put on retrieval->query"):
        DRIVERS[driver](options(tmp_path, proxied_edges=frozenset({("retrieval", "query")})))


def test_drivers_differ_in_what_they_can_do_and_in_nothing_else() -> None:
    processes, containers, kubernetes = (reference_info({}, driver=name) for name in DRIVERS)
    swarm = info_for(SWARM)
    can = {"processes": processes.capabilities, "containers": containers.capabilities, "kubernetes": kubernetes.capabilities}
    for name, info in zip(can, (processes, containers, kubernetes), strict=True):
        own = {field: getattr(info, field) for field in ("capabilities", "alternatives", "proxyable", "forwarded")}
        assert info == replace(processes, **own)
        assert info.forwarded == (name != "processes")
        others = {f"{{driver: {other}}}": able for other, able in can.items() if other != name}
        over_tls = {"{driver: containers, tls: true}": containers.capabilities | {"Certified"}}
        assert info.alternatives == {**others, "{driver: swarm, nodes: …}": swarm.capabilities, **over_tls}
        assert info.proxyable == (processes.proxyable if "Proxied" in info.capabilities else frozenset())
    assert containers.capabilities - processes.capabilities >= {"Networked"}
    assert (swarm.services, swarm.edges, swarm.roles, swarm.journeys) == (
        processes.services, processes.edges, processes.roles, processes.journeys,
    )  # fmt: skip
    assert swarm.hosts == ("a", "b")
