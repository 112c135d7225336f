"""Strategies and the following of the registry."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from mocks.rag.common.balancer import Balancer, LeastConnections, Replica, RoundRobin, SmoothWeighted, Strategy
from mocks.rag.common.registry import Instance, Registry
from tests.unit.mocks_common.stub_server import write_registry


def replicas(*weights: float) -> list[Replica]:
    return [Replica(Instance("abcdefgh"[n], f"http://127.0.0.1:{n}", weight)) for n, weight in enumerate(weights)]


def chosen(strategy: Strategy, among: list[Replica], times: int) -> str:
    return "".join(strategy.choose(among).instance.name for _ in range(times))


async def healthy(_instance: Instance) -> bool:
    return True


def test_round_robin() -> None:
    assert chosen(RoundRobin(), replicas(1, 1, 1), 7) == "abcabca"


def test_weighted_is_smooth() -> None:
    assert chosen(SmoothWeighted(), replicas(3, 1), 8) == "aabaaaba"


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_weighted_serves_exactly_by_weight(weights: list[int]) -> None:
    names = chosen(SmoothWeighted(), replicas(*weights), 3 * sum(weights))
    assert [names.count("abcdefgh"[n]) for n in range(len(weights))] == [3 * weight for weight in weights]


def test_least_connections_prefers_the_idle_and_takes_turns() -> None:
    among = replicas(1, 1, 1)
    among[0].in_flight = 2
    assert set(chosen(LeastConnections(), among, 2)) == {"b", "c"}
    among[1].in_flight = 1
    assert chosen(LeastConnections(), among, 3) == "ccc"


def test_all_out_fails_open_and_tried_ones_come_last(tmp_path: Path) -> None:
    path = tmp_path / "registry.json"
    write_registry(path, {"svc": ["http://a", "http://b"]})
    balancer = Balancer("svc", Registry(path), healthy)
    first, second = balancer.replicas
    assert balancer.pick([first]) is second
    first.in_rotation = False
    assert [balancer.pick() for _ in range(3)] == [second] * 3
    assert balancer.pick([second]) is second
    assert not balancer.has_other([second])
    second.in_rotation = False
    assert {balancer.pick() for _ in range(2)} == {first, second}


def test_follows_the_registry_and_keeps_what_it_knows(tmp_path: Path) -> None:
    returned = []
    path = tmp_path / "registry.json"
    write_registry(path, {"svc": ["http://a", "http://b"]})
    registry = Registry(path)
    balancer = Balancer("svc", registry, healthy, on_return=lambda: returned.append(True))
    kept = balancer.replicas[0]
    kept.in_rotation = False
    returned.clear()
    write_registry(path, {"svc": ["http://a", "http://c"]}, revision=2)
    assert registry.reload()
    assert [(one.instance.url, one.in_rotation) for one in balancer.replicas] == [("http://a", False), ("http://c", True)]
    assert balancer.replicas[0] is kept
    assert returned == [True]


def test_the_deployment_chooses_the_strategy(tmp_path: Path) -> None:
    path = tmp_path / "registry.json"
    two = [{"name": "a", "url": "http://a", "weight": 3}, {"name": "b", "url": "http://b", "weight": 1}]

    def publish(**balancing: str) -> None:
        path.write_text(json.dumps({"services": {"svc": two}, "settings": {"balancing": balancing}}))

    def picked(times: int) -> str:
        return "".join(replica.instance.name for _ in range(times) if (replica := balancer.pick()))

    publish(svc="weighted")
    registry = Registry(path)
    balancer = Balancer("svc", registry, healthy)
    assert picked(8) == "aabaaaba"
    publish(svc="round_robin")
    assert registry.reload()
    balancer.replicas[0].in_flight = 1
    assert picked(4) == "abab"
    publish(other="round_robin")
    assert registry.reload()
    assert picked(4) == "bbbb"
