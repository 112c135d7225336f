"""What of a stack runs where: asked of the managers again and again, and told to whoever watches the stack."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from harness.stack.base import StackError
from harness.stack.containers.api import EngineError
from harness.stack.swarm.nodes import Node, Nodes
from harness.stack.swarm.tasks import Task, filling
from harness.stack.topology import instance_name

LOOK_S = 0.5
NOWHERE = "127.0.0.1", 1
"""Where nobody listens: an instance that has not run yet."""


@dataclass(frozen=True, slots=True)
class Seat:
    """The task that fills an instance's place, and where the instance is, or was last: a task that does not run yet is nowhere.

    `ports` are those of `host`, which is the address of `node`, by those of the container.
    """

    task: Task | None = None
    node: Node | None = None
    host: str = NOWHERE[0]
    ports: Mapping[int, int] | None = None

    @property
    def filled(self) -> bool:
        """Its task runs, and is where the seat says."""
        return self.task is not None and self.task.runs and bool(self.task.ports)

    def port(self, inner: int) -> int:
        """On its host."""
        return (self.ports or {}).get(inner, NOWHERE[1])


class View:
    """A thread that looks; safe for several others. What cannot be learnt, because no manager has a say, stays as it was."""

    def __init__(self, nodes: Nodes, namespace: str, changed: Callable[[], None]) -> None:
        """`changed` is called, by the thread, after each look at which anything was otherwise."""
        self._nodes = nodes
        self._namespace = namespace
        self._changed = changed
        self._lock = threading.Lock()
        self._seats: dict[str, Seat] = {}
        self._service_ids: dict[str, str] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="swarm", daemon=True)

    def start(self) -> None:
        """Look once, and go on. Raises EngineError where no manager answers."""
        self.look()
        self._thread.start()

    def stop(self) -> None:
        """Idempotent."""
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()

    def seat(self, instance: str) -> Seat:
        """Of an instance; without a task where it has none."""
        with self._lock:
            return self._seats.get(instance, Seat())

    def seats(self) -> Mapping[str, Seat]:
        """Of all instances that ever had a task, scaled away or not."""
        with self._lock:
            return dict(self._seats)

    def service_id(self, service: str) -> str:
        """Raises StackError for one that is not there."""
        with self._lock:
            if service not in self._service_ids:
                raise StackError(f"the swarm has no service {service}: the stack was not started")
            return self._service_ids[service]

    def look(self) -> bool:
        """Ask now; True when anything is otherwise than before. Raises EngineError where no manager answers."""
        mine = {"filters": {"label": [f"com.docker.stack.namespace={self._namespace}"]}}
        services = {s["ID"]: s["Spec"]["Name"].removeprefix(f"{self._namespace}_") for s in self._nodes.ask("GET", "/services", query=mine)}
        tasks = filling(self._nodes.ask("GET", "/tasks", query=mine))
        with self._lock:
            self._service_ids = {name: service_id for service_id, name in services.items()}
            before = dict(self._seats)
            for (service_id, slot), task in tasks.items():
                if service_id in services:
                    name = instance_name(services[service_id], slot)
                    self._seats[name] = self._seat_of(task, self._seats.get(name, Seat()))
            return self._seats != before

    def _seat_of(self, task: Task, before: Seat) -> Seat:
        """Until a task has its ports, the instance is where it was."""
        node = self._nodes.of_id(task.node_id) if task.node_id else None
        if node is None or not task.ports:
            return Seat(task, before.node, before.host, before.ports)
        return Seat(task, node, node.address, task.ports)

    def _follow(self) -> None:
        while not self._ended.wait(LOOK_S):
            with contextlib.suppress(EngineError):  # no manager has a say just now
                if self.look():
                    self._changed()
