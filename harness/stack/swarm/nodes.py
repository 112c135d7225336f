"""The nodes of a swarm that a scenario names: their engines, their addresses, the managers among them, and what can be done to one."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.scenario.hosts import is_loopback
from harness.scenario.services import HostActuator, SwarmNode
from harness.stack.base import HostLook, HostVerb, StackError
from harness.stack.commands import run_named
from harness.stack.containers.api import EngineApi, EngineError

MANAGER_TIMEOUT_S = 2.0
GOSSIP_PORT = 7946
"""Every node of a swarm listens there, whatever else it does."""
ANSWERS_WITHIN_S = 1.0
_BACK: Mapping[HostVerb, HostActuator] = {"kill": "start", "pause": "resume", "cut": "mend"}
_NO_SAY = (0, 500, 503)  # it does not answer; it has lost its leader; it is no manager, or without a majority
_AGAIN = 5  # what somebody else changes meanwhile has another version


@dataclass(frozen=True, slots=True)
class Node:
    """One engine of the swarm."""

    name: str
    id: str
    address: str
    engine: str  # unix:///…
    manager: bool

    @property
    def api(self) -> EngineApi:
        return EngineApi(self.engine.removeprefix("unix://"))


class Nodes:
    """Safe for several threads once they are found."""

    def __init__(self, declared: Mapping[str, SwarmNode]) -> None:
        """Nothing is asked yet."""
        self._declared = declared
        self._nodes: dict[str, Node] = {}
        self._lock = threading.Lock()
        self._speaker: str | None = None  # the manager that answered last

    def find(self, allowed_hosts: Collection[str]) -> None:
        """Ask each engine who it is. Raises StackError for one that is in no swarm, or in another one, or not on an allowed host."""
        identities = {name: self._identity(name) for name in self._declared}
        managers = [name for name, swarm in identities.items() if swarm["ControlAvailable"]]
        if not managers:
            raise StackError(f"none of the nodes {', '.join(self._declared)} is a manager: services need one to start them")
        known = EngineApi(self._declared[managers[0]].engine.removeprefix("unix://")).call("GET", "/nodes")
        addresses = {str(node["ID"]): _address(node) for node in known}
        absent = {str(node["ID"]): str(node["Status"]["State"]) for node in known if node["Status"]["State"] != "ready"}
        for name, swarm in identities.items():
            if swarm["NodeID"] in absent:
                raise StackError(f"node {name} takes no part: its managers count it as {absent[swarm['NodeID']]}")
            if swarm["NodeID"] not in addresses:
                raise StackError(f"node {name} is in another swarm than {managers[0]}")
            address = addresses[swarm["NodeID"]]
            if not is_loopback(address) and address not in allowed_hosts:
                raise StackError(f"node {name} is at {address}, not on this machine; allow it: `stack: {{allow_hosts: [{address}]}}`")
            self._nodes[name] = Node(name, swarm["NodeID"], address, self._declared[name].engine, bool(swarm["ControlAvailable"]))
        self.others = tuple(sorted(addresses.keys() - {node.id for node in self._nodes.values()}))

    others: tuple[str, ...] = ()
    """Ids of nodes that the scenario does not name: nothing of ours goes there."""

    def all(self) -> Sequence[Node]:
        """In the scenario's order; empty before `find`."""
        return list(self._nodes.values())

    def get(self, name: str) -> Node:
        """Raises StackError that says which there are."""
        if name not in self._nodes:
            raise StackError(f"no node {name!r}; there are {', '.join(self._nodes) or 'none yet'}")
        return self._nodes[name]

    def of_id(self, node_id: str) -> Node | None:
        """None for one that the scenario does not name."""
        return next((node for node in self._nodes.values() if node.id == node_id), None)

    def managers(self) -> list[Node]:
        """The one that answered last first."""
        managers = [node for node in self._nodes.values() if node.manager]
        with self._lock:
            return sorted(managers, key=lambda node: node.name != self._speaker)

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None, query: Mapping[str, Any] | None = None) -> Any:
        """Of any manager that has a say. Raises EngineError where none has, or one refuses."""
        error = EngineError("the swarm has no manager here")
        for node in self.managers():
            try:
                answer = node.api.call(method, path, body, query=query, timeout_s=MANAGER_TIMEOUT_S)
            except EngineError as refused:
                if refused.status not in _NO_SAY:
                    raise
                error = refused
                continue
            with self._lock:
                self._speaker = node.name
            return answer
        raise error

    def look_at(self, name: str) -> HostLook:
        """How a node is. Raises StackError for an unknown one."""
        node = self.get(name)
        try:
            told = self.ask("GET", f"/nodes/{node.id}")
        except EngineError:
            return HostLook(_silence(node.address), None, None)
        return HostLook(_silence(node.address), str(told["Status"]["State"]), str(told["Spec"]["Availability"]))

    def act(self, name: str, verb: HostVerb, undo: bool) -> None:
        """Do it to a node, or take it back. Raises StackError."""
        if verb == "drain":
            self._set_availability(name, "active" if undo else "drain")
        else:
            done = _BACK[verb] if undo else verb
            run_named(f"{done} of node {name}", self._command(name, _BACK[verb] if undo else verb))

    def restoring_command(self, name: str, verb: HostVerb) -> Sequence[str]:
        """The argv that takes it back. Raises StackError where the scenario names none."""
        if verb != "drain":
            return self._command(name, _BACK[verb])
        managers = [node for node in self.managers() if node.name != name] or self.managers()
        return ["docker", "--host", managers[0].engine, "node", "update", "--availability", "active", self.get(name).id]

    def _command(self, name: str, verb: HostActuator | HostVerb) -> list[str]:
        declared = self._declared.get(name)
        argv = declared.command(verb) if declared is not None and verb != "drain" else None
        if argv is None:
            raise StackError(f"node {name} names no command for {verb}: `stack: {{nodes: {{{name}: {{{verb}: […]}}}}}}`")
        return argv

    def _set_availability(self, name: str, availability: str) -> None:
        self.change(f"/nodes/{self.get(name).id}", lambda spec: {**spec, "Availability": availability})

    def change(self, path: str, change: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> None:
        """Make the specification of what is there another one, if it is not; again where somebody else was quicker. Raises EngineError."""
        for tries_left in reversed(range(_AGAIN)):
            told = self.ask("GET", path)
            wanted = change(told["Spec"])
            if wanted == told["Spec"]:
                return
            try:
                self.ask("POST", f"{path}/update", wanted, {"version": str(told["Version"]["Index"])})
            except EngineError as error:
                if tries_left == 0 or "out of sequence" not in str(error):
                    raise
            else:
                return

    def _identity(self, name: str) -> Mapping[str, Any]:
        api = EngineApi(self._declared[name].engine.removeprefix("unix://"))
        try:
            swarm: Mapping[str, Any] = api.call("GET", "/info")["Swarm"]
        except EngineError as error:
            raise StackError(f"node {name}: {error}") from error
        if swarm["LocalNodeState"] != "active":
            raise StackError(f"node {name} is in no swarm (its state is {swarm['LocalNodeState']}): docker swarm init, or join")
        return swarm


def _address(node: Mapping[str, Any]) -> str:
    """Where a node is reached: as managers reach one another, or as it was seen to join."""
    manager = str(node.get("ManagerStatus", {}).get("Addr", ""))
    return manager.rpartition(":")[0].strip("[]") or str(node["Status"]["Addr"])


def _silence(address: str) -> str | None:
    try:
        socket.create_connection((address, GOSSIP_PORT), ANSWERS_WITHIN_S).close()
    except OSError as error:
        return f"{type(error).__name__}: {error}"
    return None
