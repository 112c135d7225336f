"""Rules at the ends of an edge: which means is chosen, that they outlast a start of an end, and what is told of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, cast

import pytest

from harness.faults.base import Context, FaultError, Target
from harness.faults.conversation import Talk
from harness.faults.edge import EdgeFault
from harness.faults.network import LatencyParameters, NetworkLatency
from harness.faults.network_cut import NetworkPartition, NetworkReset, PartitionParameters, ResetParameters
from harness.faults.network_pace import LossParameters, NetworkLoss
from harness.record.clock import SystemClock
from harness.scenario.catalog import FaultSpec, StackInfo
from harness.stack.base import AdminApi, Instance, Stack, StackError
from tests.unit.faults.fake_network import FakeNetwork

EDGE = ("query", "cache")
WITHIN_S = 60.0


class Networks(FakeNetwork):
    """A stack of two callers and one callee, each with a network of its own; a proxy on `proxied`."""

    info = StackInfo("fake", {"query": 2, "cache": 1}, frozenset({EDGE}), frozenset({"Networked", "Proxied"}), frozenset())

    def __init__(self, proxied: bool = False) -> None:
        super().__init__({"query-1": "10.9.0.2", "query-2": "10.9.0.3", "cache-1": "10.9.0.4"})
        self.pids: dict[str, int | None] = {"query-1": 11, "query-2": 12, "cache-1": 13}
        self.proxied = proxied

    def instances(self, service: str) -> Sequence[Instance]:
        return [
            Instance(service, name, "redis://127.0.0.1:1", "1.0.0", pid, 6379)
            for name, pid in self.pids.items()
            if name.startswith(service)
        ]

    def probe(self, instance: Instance) -> str | None:
        return None if instance.pid is not None else "it is down"

    def proxy(self, caller: str, callee: str) -> AdminApi:
        if not self.proxied:
            raise StackError(f"no proxy on {caller}->{callee}: the stack was started without one there")
        return AdminApi("http://127.0.0.1:9", "token")


def partition(stack: Networks, direction: str = "both") -> NetworkPartition:
    parameters = PartitionParameters.model_validate({"direction": direction})
    return NetworkPartition(Target("cache", edge=EDGE), parameters, context(stack))


def context(stack: Networks, run_id: str = "abc") -> Context:
    return Context(cast(Stack, stack), SystemClock(), Random(1), fault_id="cut", run_id=run_id)


def soon(what: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + WITHIN_S
    while not what():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def test_an_edge_with_a_proxy_is_broken_there_and_one_without_by_rules() -> None:
    assert partition(Networks(proxied=True)).means.name == "proxy"
    assert partition(Networks()).means.name == "rules"


@pytest.mark.parametrize(
    ("spec", "asked", "netem", "proxied"),
    [
        (NetworkPartition.spec, {}, False, False),
        (NetworkLatency.spec, {"delay": "50ms"}, False, True),
        (NetworkLatency.spec, {"delay": "50ms"}, True, False),
        (NetworkLoss.spec, {"rate": "10%"}, False, False),
        (NetworkLoss.spec, {"rate": "10%", "burst": 3}, False, True),
        (NetworkLoss.spec, {"rate": "10%", "burst": 3}, True, False),
        (NetworkReset.spec, {}, False, False),
        (NetworkReset.spec, {"after_bytes": 4}, True, True),
        (NetworkReset.spec, {"after_bytes": "none"}, True, False),
    ],
)
def test_a_proxy_is_started_for_what_rules_cannot_do_on_this_kernel(
    spec: FaultSpec, asked: dict[str, Any], netem: bool, proxied: bool
) -> None:
    for capabilities, expected in (({"Networked", "Proxied"}, proxied), ({"Proxied"}, True)):
        stack = StackInfo("fake", {}, frozenset(), frozenset(capabilities), frozenset(), netem=netem)
        assert spec.through_proxy(stack, asked) is expected


def test_each_direction_is_dropped_where_it_arrives() -> None:
    for direction, hit in (("downstream", {"query-1", "query-2"}), ("upstream", {"cache-1"}), ("both", {"query-1", "query-2", "cache-1"})):
        stack = Networks()
        fault = partition(stack, direction)
        for _ in range(2):
            fault.inject()
        assert {name for name, rules in stack.rules.items() if rules} == hit
        assert len(stack.asked) == len(hit), "set once"
        fault.heal()
        assert not any(stack.rules.values())


def test_a_partition_shows_for_the_caller_and_says_by_what_means(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = Networks()
    fault = partition(stack)
    whole = stack.talk
    monkeypatch.setattr("harness.faults.edge_rules.RulesWays.past", lambda *_: whole)
    assert fault.verify() is None
    assert fault.gone() == {"means": "rules", "end": "closed", "answer_bytes": 7, "direct_answer_bytes": 7}
    fault.inject()
    stack.talk = Talk(b"", None, 0.4, "unreachable")
    found = fault.verify()
    assert found is not None
    assert (found["means"], found["end"], found["packets_touched"], found["set_again"]) == ("rules", "unreachable", 9, 0)
    assert fault.gone() is None
    stack.hits = 0
    with pytest.raises(FaultError, match="no packet between query and cache has met a rule"):
        fault.verify()
    fault.heal()
    stack.talk = whole
    assert fault.gone() is not None
    stack.rules["cache-1"].append("-A INPUT -j DROP")
    assert fault.gone() is None, "the namespace is otherwise than before"


def test_what_starts_again_gets_its_rules_again_until_the_fault_is_over() -> None:
    stack = Networks()
    fault = partition(stack)
    fault.inject()
    try:
        stack.pids["cache-1"] = None
        del stack.addresses["cache-1"]
        time.sleep(0.3)  # nothing to wait for: it is down, and others keep what they have
        assert stack.rules["query-1"]
        stack.start("cache-1", "10.9.0.9")
        stack.pids["cache-1"] = 14
        soon(lambda: any("10.9.0.9" in rule for rule in stack.rules["query-2"]) and bool(stack.rules["cache-1"]))
    finally:
        fault.heal()
    stack.start("query-1", "10.9.0.8")
    stack.pids["query-1"] = 15
    time.sleep(0.4)
    assert not any(stack.rules.values())


def test_what_takes_it_back_without_us_is_one_script_for_all_namespaces_of_the_run() -> None:
    stack = Networks()
    fault = partition(stack)
    (undo,) = fault.undo()
    fault.inject()
    for instance in stack.addresses:
        stack.run_in_network(instance, ("sh", "-c", str(undo.args["script"])))
    assert (undo.op, undo.args["run_id"], any(stack.rules.values())) == ("rules", "abc", False)
    fault.heal()
    unknown: EdgeFault[Any] = NetworkReset(Target("cache", edge=EDGE), ResetParameters(), context(stack, run_id=""))
    with pytest.raises(FaultError, match="run's id"):
        unknown.undo()


def test_an_end_that_does_not_run_is_an_error() -> None:
    stack = Networks()
    stack.pids = dict.fromkeys(stack.pids)
    for fault in (
        partition(stack),
        NetworkLoss(Target("cache", edge=EDGE), LossParameters.model_validate({"rate": "10%"}), context(stack)),
    ):
        with pytest.raises(FaultError, match="no address in a network of its own"):
            fault.inject()
    slow = NetworkLatency(Target("cache", edge=EDGE), LatencyParameters.model_validate({"delay": "50ms"}), context(stack))
    with pytest.raises(FaultError, match="no instance of query or cache runs"):
        slow.verify()
