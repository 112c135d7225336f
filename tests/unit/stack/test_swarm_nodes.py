"""The nodes of a swarm, on stand-in engines: found, refused, asked in turn, drained, and acted upon by the commands they name."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.scenario.services import SwarmNode
from harness.stack.base import StackError
from harness.stack.containers.api import EngineError
from harness.stack.swarm import images
from harness.stack.swarm.nodes import Nodes
from harness.stack.swarm.tasks import filling
from harness.stack.swarm.view import View
from tests.unit.stack.stand_in_engines import World, engines, task


@pytest.fixture
def world() -> World:
    return World(names=["a", "b", "c"], managers=["a", "b"])


@pytest.fixture
def sockets(world: World, tmp_path: Path) -> Iterator[dict[str, str]]:
    with engines(world, tmp_path) as addresses:
        yield addresses


def nodes_of(sockets: dict[str, str], **commands: Any) -> Nodes:
    return Nodes({name: SwarmNode.model_validate({"engine": engine, **commands}) for name, engine in sockets.items()})


def found(sockets: dict[str, str], **commands: Any) -> Nodes:
    nodes = nodes_of(sockets, **commands)
    nodes.find(())
    return nodes


def test_each_node_is_who_its_engine_says(world: World, sockets: dict[str, str]) -> None:
    world.names = [*world.names, "stranger"]
    nodes = found(sockets)
    assert [(node.name, node.id, node.manager) for node in nodes.all()] == [("a", "id-a", True), ("b", "id-b", True), ("c", "id-c", False)]
    assert nodes.others == ("id-stranger",)
    with pytest.raises(StackError, match="no node 'd'; there are a, b, c"):
        nodes.get("d")


def test_an_engine_without_a_swarm_is_refused(world: World, sockets: dict[str, str]) -> None:
    world.outside.add("b")
    with pytest.raises(StackError, match="node b is in no swarm"):
        nodes_of(sockets).find(())


def test_a_node_of_another_swarm_is_refused(world: World, sockets: dict[str, str]) -> None:
    world.names = ["a", "b"]
    with pytest.raises(StackError, match="node c is in another swarm than a"):
        nodes_of(sockets).find(())


def test_workers_alone_will_not_do(world: World, sockets: dict[str, str]) -> None:
    world.managers = []
    with pytest.raises(StackError, match="is a manager"):
        nodes_of(sockets).find(())


def test_a_node_elsewhere_must_be_allowed(world: World, sockets: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    real = World.node
    monkeypatch.setattr(World, "node", lambda self, name: {**real(self, name), "ManagerStatus": {"Addr": "192.0.2.7:2377"}})
    with pytest.raises(StackError, match=r"allow_hosts: \[192\.0\.2\.7\]"):
        nodes_of(sockets).find(())
    nodes_of(sockets).find(["192.0.2.7"])


def test_the_next_manager_is_asked_where_one_has_no_say(world: World, sockets: dict[str, str]) -> None:
    nodes = found(sockets)
    world.leaderless.add("a")
    assert nodes.ask("GET", "/tasks") == []
    world.asked.clear()
    assert nodes.ask("GET", "/tasks") == []
    assert [name for name, *_ in world.asked] == ["b"], "who answered last is asked first"
    world.leaderless.add("b")
    with pytest.raises(EngineError):
        nodes.ask("GET", "/tasks")


def test_what_a_manager_refuses_is_told_at_once(world: World, sockets: dict[str, str]) -> None:
    nodes = found(sockets)
    world.asked.clear()
    with pytest.raises(EngineError, match="nothing at"):
        nodes.ask("GET", "/nowhere")
    assert len(world.asked) == 1


def test_draining_is_undone_and_neither_is_done_twice(world: World, sockets: dict[str, str]) -> None:
    nodes = found(sockets)
    nodes.act("c", "drain", undo=False)
    assert world.availability == {"c": "drain"}
    nodes.act("c", "drain", undo=False)
    updates = [path for _, method, path, _ in world.asked if method == "POST"]
    assert updates == ["/nodes/id-c/update"]
    look = nodes.look_at("c")
    assert (look.state, look.availability) == ("ready", "drain")
    assert look.silent is not None, "nobody listens where nodes of a swarm do"
    nodes.act("c", "drain", undo=True)
    assert world.availability == {"c": "active"}
    assert nodes.restoring_command("a", "drain") == [
        "docker", "--host", sockets["b"], "node", "update", "--availability", "active", "id-a",
    ]  # fmt: skip


def test_without_managers_nothing_is_said_of_a_node(world: World, sockets: dict[str, str]) -> None:
    nodes = found(sockets)
    world.leaderless |= {"a", "b"}
    look = nodes.look_at("c")
    assert (look.state, look.availability) == (None, None)


def test_a_node_is_taken_away_and_brought_back_by_its_own_commands(sockets: dict[str, str], tmp_path: Path) -> None:
    told = tmp_path / "told"
    say = [sys.executable, "-c", "import sys; open(sys.argv[1], 'a').write(sys.argv[2] + ' ')", str(told)]
    nodes = found(sockets, kill=[*say, "kill"], start=[*say, "start"], cut=[*say, "cut"], mend=["false"])
    nodes.act("b", "kill", undo=False)
    nodes.act("b", "kill", undo=True)
    nodes.act("b", "cut", undo=False)
    assert told.read_text() == "kill start cut "
    with pytest.raises(StackError, match="mend of node b: false ended with 1"):
        nodes.act("b", "cut", undo=True)
    with pytest.raises(StackError, match="node b names no command for pause"):
        nodes.act("b", "pause", undo=False)
    assert nodes.restoring_command("b", "kill") == [*say, "start"]


def test_images_go_where_they_are_missing_in_one_piece(world: World, sockets: dict[str, str], tmp_path: Path) -> None:
    nodes = found(sockets)
    world.images = {"a": {"x/s:1", "x/p:1"}, "b": {"x/p:1"}}
    a, b, c = nodes.all()
    ran: list[list[str]] = []
    images.carry({a: ["x/s:1", "x/p:1"], b: ["x/s:1"], c: ["x/s:1"]}, tmp_path, lambda command: ran.append(list(command)))
    archive = str(tmp_path / "images.tar")
    assert ran[0] == ["docker", "save", "--output", archive, "x/s:1"]
    assert sorted(command[2] for command in ran[1:]) == sorted([b.engine, c.engine])
    ran.clear()
    world.images = {name: {"x/s:1"} for name in "abc"}
    images.carry({node: ["x/s:1"] for node in nodes.all()}, tmp_path, lambda command: ran.append(list(command)))
    assert ran == []


def test_a_slot_is_filled_by_the_newest_task_that_is_wanted() -> None:
    old = task(2, "b", state="running", desired="shutdown", created="1", id="old")
    new = task(2, "c", state="starting", created="2", id="new", ports={})
    failed = task(2, "c", state="failed", desired="shutdown", created="3", id="failed", error="task: non-zero exit (2)")
    places = filling([new, failed, old])
    assert places["s1", 2].id == "new"
    assert places["s1", 2].error == "task: non-zero exit (2)", "what happened last in this place"
    assert filling([old])["s1", 2].id == "old"
    assert not filling([old])["s1", 2].runs


def test_an_instance_stays_where_it_was_until_another_task_has_ports(world: World, sockets: dict[str, str]) -> None:
    world.services = {"s1": "ns_retrieval"}
    world.tasks = [task(1, "a", ports={8080: 32768}), task(2, "b", ports={8080: 32769})]
    view = View(found(sockets), "ns", lambda: None)
    assert view.look() and not view.look(), "True only when something is otherwise"
    world.tasks[1] |= {"DesiredState": "shutdown"}
    world.tasks.append(task(2, "c", state="starting", created="2", id="new", ports={}))
    assert view.look()
    seat = view.seat("retrieval-2")
    assert (seat.node and seat.node.name, seat.port(8080), seat.filled) == ("b", 32769, False)
    world.tasks[2] = task(2, "c", created="2", id="new", ports={8080: 40000})
    view.look()
    seat = view.seat("retrieval-2")
    assert (seat.node and seat.node.name, seat.port(8080), seat.filled) == ("c", 40000, True)
    world.leaderless |= {"a", "b"}
    with pytest.raises(EngineError):
        view.look()
    assert view.seat("retrieval-2").port(8080) == 40000, "what cannot be learnt stays"
    assert view.seat("retrieval-3").task is None
