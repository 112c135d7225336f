"""Stand-in engines of a swarm: the Docker API over Unix sockets, as much of it as the driver asks, with one world behind them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Answer = tuple[int, Any]


@dataclass
class World:
    """Nodes by name; `dead` ones do not answer, `leaderless` managers answer 500. `asked` is (node, method, path, query)."""

    names: Sequence[str]
    managers: Sequence[str]
    states: dict[str, str] = field(default_factory=dict)
    availability: dict[str, str] = field(default_factory=dict)
    images: dict[str, set[str]] = field(default_factory=dict)
    tasks: list[dict[str, Any]] = field(default_factory=list)
    services: dict[str, str] = field(default_factory=dict)  # name by id
    leaderless: set[str] = field(default_factory=set)
    outside: set[str] = field(default_factory=set)  # in no swarm
    asked: list[tuple[str, str, str, dict[str, str]]] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    versions: dict[str, int] = field(default_factory=dict)
    on_update: Callable[[str, Any], object] = lambda _service, _spec: None  # a service gets another specification

    def node(self, name: str) -> dict[str, Any]:
        manager = {"ManagerStatus": {"Addr": "127.0.0.1:2377"}} if name in self.managers else {}
        spec = {"Role": "manager" if manager else "worker", "Availability": self.availability.get(name, "active"), "Labels": {}}
        status = {"State": self.states.get(name, "ready"), "Addr": "127.0.0.1"}
        return {"ID": f"id-{name}", "Version": {"Index": self.versions.get(name, 7)}, "Spec": spec, "Status": status, **manager}

    def answer(self, name: str, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
        self.asked.append((name, method, path, query))
        self.bodies.append(body)
        parts = path.strip("/").split("/")
        if path == "/info":
            state = "inactive" if name in self.outside else "active"
            return 200, {"Swarm": {"NodeID": f"id-{name}", "LocalNodeState": state, "ControlAvailable": name in self.managers}}
        if parts[0] == "images":
            there = "/".join(parts[1:-1]).replace("%3A", ":") in self.images.get(name, set())
            return (200, {}) if there else (404, {"message": "no such image"})
        if parts[0] == "containers":
            return 204, None
        return self._of_managers(name, method, parts, query, body)

    def _of_managers(self, name: str, method: str, parts: list[str], query: dict[str, str], body: Any) -> Answer:
        if name not in self.managers or name in self.leaderless:
            return 503, {"message": "this node is not a swarm manager, or has no leader"}
        match parts:
            case ["nodes"]:
                return 200, [self.node(one) for one in self.names]
            case ["nodes", node_id]:
                return 200, self.node(node_id.removeprefix("id-"))
            case ["nodes", node_id, "update"]:
                if int(query["version"]) != self.versions.get(node_id.removeprefix("id-"), 7):
                    return 500, {"message": "rpc error: update out of sequence"}
                self.availability[node_id.removeprefix("id-")] = body["Availability"]
                return 200, None
            case ["services"]:
                return 200, [{"ID": key, "Spec": {"Name": value}} for key, value in self.services.items()]
            case ["services", service_id]:
                spec = {"Name": self.services[service_id], "Mode": {}, "TaskTemplate": {"ForceUpdate": 4}}
                return 200, {"ID": service_id, "Version": {"Index": 3}, "Spec": spec}
            case ["services", service_id, "update"]:
                self.on_update(service_id, body)
                return 200, {}
            case ["tasks"]:
                return 200, self.tasks
        return 404, {"message": f"nothing at {parts}"}


def task(slot: int, node: str | None = "a", *, service: str = "s1", state: str = "running", **changes: Any) -> dict[str, Any]:
    """What a manager says of one task, which runs and is meant to unless `changes` say otherwise."""
    ports = changes.get("ports", {8080: 32768})
    published = [{"TargetPort": inner, "PublishedPort": outer, "PublishMode": "host"} for inner, outer in ports.items()]
    return {
        "ID": changes.get("id", f"task-{service}-{slot}-{node}"),
        "ServiceID": service,
        "Slot": slot,
        **({"NodeID": f"id-{node}"} if node is not None else {}),
        "CreatedAt": changes.get("created", "2026-01-01T00:00:00Z"),
        "DesiredState": changes.get("desired", "running"),
        "Status": {
            "State": state,
            "ContainerStatus": {"ContainerID": f"c-{service}-{slot}-{node}"},
            "PortStatus": {"Ports": published} if published else {},
            **({"Err": changes["error"]} if "error" in changes else {}),
        },
    }


@contextmanager
def engines(world: World, folder: Path) -> Iterator[dict[str, str]]:
    """One for each node; `unix:///…` by name."""
    with ExitStack() as stack:
        addresses = {}
        for name in world.names:
            path = folder / f"{name}.sock"
            server = _Server(str(path), _handler(world, name))
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            addresses[name] = f"unix://{path}"
        yield addresses


class _Server(ThreadingUnixStreamServer):
    """Who asked may have gone: a log is followed until the test ends."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: what a test wants to know, it asks the world."""


def _handler(world: World, name: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._reply("GET")

        def do_POST(self) -> None:
            self._reply("POST")

        def _reply(self, method: str) -> None:
            url = urlsplit(self.path)
            length = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            query = {key: values[0] for key, values in parse_qs(url.query).items()}
            status, document = world.answer(name, method, url.path, query, body)
            content = b"" if document is None else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: the world notes what was asked."""

        def address_string(self) -> str:
            return "unix"

    return Handler
