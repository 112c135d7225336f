"""The swarm's driver on stand-in engines: which instance is where, and what is asked of whom to change it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.scenario.model import StackSpec
from harness.stack import http_probe
from harness.stack.base import Instance, StackError
from harness.stack.options import StackOptions
from harness.stack.swarm.placement import to_move
from harness.stack.swarm.stack import SwarmStack
from harness.stack.topology import topology
from tests.unit.stack.stand_in_engines import World, engines, task

REPLICAS = {"retrieval": 2, "query": 2}


@dataclass
class Rig:
    """A stack that is there already, and the world that it is in."""

    stack: SwarmStack
    world: World

    def see(self) -> None:
        self.stack._view.look()

    def place(self, service: str, slot: int, node: str, **changes: Any) -> None:
        """Another task fills the slot, published at a port of its own."""
        port = changes.pop("port", 30_000 + len(self.world.tasks))
        inner = {"postgres": 5432, "cache": 6379}.get(service, 8080)
        created = f"{len(self.world.tasks):04}"
        identity = f"{service}.{slot}.{created}"
        self.world.tasks.append(task(slot, node, service=service, id=identity, created=created, ports={inner: port, 8081: port}, **changes))

    def posted(self) -> list[tuple[str, str]]:
        return [(node, path) for node, method, path, _ in self.world.asked if method == "POST"]


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    world = World(names=["a", "b", "c"], managers=["a", "b"])
    with engines(world, tmp_path) as sockets:
        spec = StackSpec.model_validate({"driver": "swarm", "replicas": REPLICAS, "nodes": sockets})
        stack = SwarmStack(spec, StackOptions("r1", tmp_path / "work", tmp_path, replicas=REPLICAS))
        stack._nodes.find(())
        monkeypatch.setattr(http_probe, "ready", lambda _url: None)
        monkeypatch.setattr("harness.stack.swarm.stack.REPLACED_DEADLINE_S", 60.0)
        made = Rig(stack, world)
        world.services = {name: f"gauntlet-r1_{name}" for name in topology().services}
        for service in stack.info.services:
            for slot in range(1, stack.info.services[service] + 1):
                made.place(service, slot, "a" if topology().services[service].single else "abc"[slot % 3])
        stack._view.start()
        yield made
        stack._view.stop()


def test_an_instance_is_a_slot_wherever_it_runs(rig: Rig) -> None:
    first, second = rig.stack.instances("retrieval")
    assert (first.name, second.name, first.pid) == ("retrieval-1", "retrieval-2", None)
    assert second.name in {instance.name for instance in rig.stack.instances_on("c")}
    rig.place("retrieval", 2, "b", port=31_234)
    rig.see()
    assert rig.stack.instances("retrieval")[1].url == "http://127.0.0.1:31234"
    assert "retrieval-2" in {instance.name for instance in rig.stack.instances_on("b")}
    assert rig.stack.entry_url == rig.stack.instances("gateway")[0].url


def test_engines_want_a_password_and_are_static_for_whoever_watches(rig: Rig) -> None:
    (database,) = rig.stack.targets()["static"]["postgres"]
    assert database.startswith("postgresql://postgres:") and "@127.0.0.1:" in database
    assert rig.stack.admin("llm").url.startswith("http://127.0.0.1:")
    with pytest.raises(StackError, match="query has no admin API"):
        rig.stack.admin("query")


def test_a_task_is_killed_and_paused_by_the_engine_of_its_own_node(rig: Rig) -> None:
    rig.stack.kill("retrieval-2")
    rig.stack.set_paused("retrieval-1", True)
    rig.stack.set_paused("retrieval-1", False)
    assert rig.posted() == [
        ("c", "/containers/c-retrieval-2-c/kill"),
        ("b", "/containers/c-retrieval-1-b/pause"),
        ("b", "/containers/c-retrieval-1-b/unpause"),
    ]
    with pytest.raises(StackError, match="no instance 'retrieval-3'"):
        rig.stack.kill("retrieval-3")


def test_a_restart_waits_for_the_task_that_the_swarm_puts_there(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.stack.swarm.stack.REPLACED_DEADLINE_S", 0.2)
    with pytest.raises(StackError, match="no other task running"):
        rig.stack.restart("retrieval-2")
    monkeypatch.setattr("harness.stack.swarm.stack.REPLACED_DEADLINE_S", 60.0)
    real = World.answer

    def answer(world: World, name: str, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        if path.endswith("/stop"):
            rig.place("retrieval", 2, "a")
        return real(world, name, method, path, query, body)

    monkeypatch.setattr(World, "answer", answer)
    rig.stack.restart("retrieval-2")
    assert "retrieval-2" in {instance.name for instance in rig.stack.instances_on("a")}


def test_scaling_is_the_swarms_and_callers_find_what_is_new(rig: Rig) -> None:
    rig.world.on_update = lambda service, spec: rig.place(service, spec["Mode"]["Replicated"]["Replicas"], "a")
    rig.stack.scale("retrieval", 3)
    assert [instance.name for instance in rig.stack.instances("retrieval")] == ["retrieval-1", "retrieval-2", "retrieval-3"]
    assert '"retrieval-3"' in Path(rig.stack.targets()["registry"]).read_text(encoding="utf-8")
    rig.world.on_update = lambda _service, _spec: None
    rig.stack.scale("retrieval", 1)
    assert '"retrieval-2"' not in Path(rig.stack.targets()["registry"]).read_text(encoding="utf-8")
    with pytest.raises(StackError, match="postgres cannot be replicated"):
        rig.stack.scale("postgres", 2)


def test_what_is_replicated_is_placed_anew_where_a_host_has_nothing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not rig.stack.spread(), "every host has something"
    rig.place("retrieval", 2, "a")
    rig.place("query", 2, "a")
    rig.place("generation", 2, "a")
    rig.see()
    assert rig.stack.instances_on("c") == []
    assert not rig.stack.spread(), "nobody answers there: it would get nothing"
    monkeypatch.setattr("harness.stack.swarm.nodes._silence", lambda _address: None)
    real, stopped = World.answer, list[str]()

    def answer(world: World, name: str, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        if path.endswith("/stop"):
            service, slot = path.split("/")[2].split("-")[1:3]
            stopped.append(f"{service}-{slot}")
            rig.place(service, int(slot), "c")
        return real(world, name, method, path, query, body)

    monkeypatch.setattr(World, "answer", answer)
    assert rig.stack.spread()
    assert {instance.name for instance in rig.stack.instances_on("c")} == set(stopped)
    assert {name.rpartition("-")[0] for name in stopped} <= {"retrieval", "query", "generation"}, "nothing without a peer is moved"


def test_what_moves_to_an_empty_host_is_its_share_and_never_the_only_one() -> None:
    def there(*names: str) -> list[Instance]:
        return [Instance(name.rpartition("-")[0], name, "", "1") for name in names]

    by_host = {"a": there("gateway-1", "x-1", "y-1", "z-1"), "b": there("x-2", "y-2", "w-1"), "c": []}
    assert to_move(by_host, "c", frozenset({"gateway"})) == ["x-1", "y-1"]
    assert to_move({"a": there("gateway-1", "x-1"), "b": []}, "b", frozenset({"gateway"})) == []


def test_what_is_not_there_yet_listens_nowhere(rig: Rig) -> None:
    rig.world.tasks = []
    stack = SwarmStack(rig.stack._spec, rig.stack._options)
    assert stack.instances("query") == []
    with pytest.raises(StackError):
        _ = stack.entry_url
