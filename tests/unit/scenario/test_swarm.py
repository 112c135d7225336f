"""What a scenario says of a swarm, and what is refused before anything starts."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from harness.lifecycle.checking import check_loaded
from harness.scenario.loader import load_text
from harness.scenario.problem import ScenarioError

ACTS = {"kill": ["k"], "start": ["s"]}
NODES = {"a": "unix:///a.sock", "b": {"engine": "unix:///b.sock", **ACTS}, "c": "unix:///c.sock"}


def problems(stack: dict[str, Any], fault: str = "host.killed", target: str = "b", **expect: Any) -> list[str]:
    """Errors alone."""
    document = {
        "name": "x",
        "stack": {"use": "reference", **stack},
        "load": {"shape": [{"constant": "25/s"}]},
        "phases": {"steady_state": "40s", "fault": "40s"},
        "faults": [{"id": "f", "type": fault, "target": target, "at": "fault", "for": "30s"}],
        **({"expect": [{"fault": "f", **expect}]} if expect else {}),
    }
    try:
        found = check_loaded(load_text(yaml.safe_dump(document, sort_keys=False)))
    except ScenarioError as error:
        found = list(error.problems)
    return [str(problem) for problem in found if problem.severity == "error"]


def swarm(**changes: Any) -> dict[str, Any]:
    return {"driver": "swarm", "nodes": NODES, **changes}


def test_a_swarm_is_its_nodes_and_a_node_may_be_its_engine_alone() -> None:
    assert problems(swarm()) == []
    assert problems(swarm(), root_cause={"host": "b", "kind": "crash"}) == []


@pytest.mark.parametrize(
    ("stack", "message"),
    [
        ({"driver": "swarm"}, "a swarm's nodes are named"),
        ({"nodes": NODES}, "`nodes` belong to a swarm"),
        ({"driver": "swarm", "nodes": {"cache": "unix:///c.sock"}}, "a node cannot be called as a service is"),
        ({"driver": "swarm", "nodes": {"a": "tcp://10.0.0.1:2375"}}, "is no Unix socket"),
        ({"driver": "swarm", "nodes": {"a": {"engine": "unix:///a.sock", "kill": ["k"]}}}, "`kill` without `start`"),
        ({"driver": "swarm", "nodes": {"a": {"engine": "unix:///a.sock", "freeze": ["k"]}}}, "unknown key 'freeze'"),
    ],
)
def test_what_cannot_be_a_swarm_is_refused(stack: dict[str, Any], message: str) -> None:
    (problem,) = problems(stack)
    assert message in problem


@pytest.mark.parametrize("driver", ["processes", "containers"])
def test_a_stack_without_hosts_is_told_which_one_has_them(driver: str) -> None:
    (problem,) = problems({"driver": driver})
    assert "cannot do host.killed: it is not HostKillable, HostWatched, Hosted" in problem
    assert "`stack: {driver: swarm, nodes: …}` can" in problem


def test_a_node_that_names_no_command_is_told_which_one_does() -> None:
    (problem,) = problems(swarm(), target="c")
    assert "host.killed needs HostKillable, which 'c' of this stack is not" in problem
    assert "write b, or name its commands for that in `stack: {nodes: …}`" in problem
    assert problems(swarm(), "host.drained", "c") == [], "which takes a manager alone"
    (problem,) = problems(swarm(), "host.paused", "b")
    assert "name its commands" in problem


def test_a_host_is_no_service_and_a_service_no_host() -> None:
    (problem,) = problems(swarm(), "process.kill", "b")
    assert "process.kill does not fit a node of a swarm" in problem
    (problem,) = problems(swarm(), "host.killed", "retrieval")
    assert "host.killed does not fit a service" in problem and "write a node of a swarm" in problem
    (problem,) = problems(swarm(), target="d")
    assert "has no 'd'" in problem


def test_a_root_cause_names_a_node_that_there_is() -> None:
    (problem,) = problems(swarm(), root_cause={"host": "z", "kind": "crash"})
    assert "the stack has no node 'z'" in problem
    (problem,) = problems(swarm(), root_cause={"host": "b", "service": "query", "kind": "crash"})
    assert "exactly one of service, edge, host" in problem


def test_what_a_swarm_cannot_do_is_refused_with_who_can() -> None:
    (problem,) = problems(swarm(), "process.stop", "retrieval-1")
    assert "it is not Stoppable" in problem and "{driver: containers}` can" in problem
