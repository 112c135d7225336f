"""Runs the pods of the stand-in: each has programs that answer at its ports, an address, a control group, and a network that can be bad."""

from __future__ import annotations

import json
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cluster import standins
from tests.cluster.store import Document

APP = "app.kubernetes.io/name"
CPU_LIMIT = 1.0
IDLE_CPUS = 0.02
RESENT_S = 0.25
"""After which what a bad network has lost arrives."""
PRELUDE = (Path(__file__).parent / "pod_world.py").read_text(encoding="utf-8")
_BOTH = "import sys; world, program = sys.argv.pop(1), sys.argv.pop(1); exec(world, {}); exec(compile(program, 'program', 'exec'))"


@dataclass
class Edge:
    """What is wrong with packets from one pod to another."""

    delay_s: float = 0.0
    loss: float = 0.0
    cut: bool = False


@dataclass
class Running:
    """One pod whose containers run."""

    name: str
    uid: str
    address: str
    inside: standins.Inside
    ports: frozenset[int]
    memory_limit: int
    connections: list[socket.socket] = field(default_factory=list)
    stopped: bool = False
    log: str = ""
    burns_cpus: float = 0.0
    holds_bytes: int = 0
    full: str = ""  # below this folder nothing can be written
    names: dict[str, str] = field(default_factory=dict)  # pattern -> error or random

    @property
    def service(self) -> str:
        return self.inside.service


class Kubelet:
    """Safe for several threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._pods: dict[str, Running] = {}  # by uid
        self._addresses = 0
        self.edges: dict[tuple[str, str], Edge] = {}  # by uids, from and to

    # --- life

    def start(self, pod: Document) -> Running:
        container = pod["spec"]["containers"][0]
        variables = {one["name"]: one.get("value", "") for one in container.get("env") or ()}
        service = pod["metadata"]["labels"].get(APP, "")
        with self._lock:
            self._addresses += 1
            running = Running(
                pod["metadata"]["name"],
                pod["metadata"]["uid"],
                f"10.1.0.{self._addresses}",
                standins.Inside(service, variables.get("VERSION", "")),
                frozenset(one["containerPort"] for one in container.get("ports") or ()),
                _bytes(container["resources"]["limits"]["memory"]),
            )
            running.log = f"{service} starts\n"
            self._pods[running.uid] = running
        return running

    def stop(self, uid: str) -> None:
        """Its programs end, and with them their connections."""
        with self._lock:
            running = self._pods.get(uid)
            if running is None:
                return
            running.stopped = True
            for connection in running.connections:
                connection.close()
            running.connections.clear()

    def resume(self, uid: str) -> None:
        self.get(uid).stopped = False

    def remove(self, uid: str) -> None:
        self.stop(uid)
        with self._lock:
            self._pods.pop(uid, None)

    def get(self, uid: str) -> Running:
        with self._lock:
            return self._pods[uid]

    def all(self) -> list[Running]:
        with self._lock:
            return list(self._pods.values())

    # --- connections

    def connect(self, uid: str, port: int) -> socket.socket:
        """To a port of the pod. Raises ConnectionRefusedError."""
        with self._lock:
            running = self._pods.get(uid)
            if running is None or running.stopped or port not in running.ports:
                raise ConnectionRefusedError(f"connection refused: {port}")
            ours, theirs = socket.socketpair()
            running.connections.append(theirs)
        threading.Thread(target=_serve, args=(theirs, running), daemon=True).start()
        return ours

    # --- programs

    def execute(self, uid: str, argv: Sequence[str]) -> tuple[int, bytes]:
        """Run a Python program in the pod: a real process here, which is shown the names, addresses and files that are there."""
        caller = self.get(uid)
        if list(argv[:2]) != ["python3", "-c"]:
            return 126, f"{argv[0]}: not in this image".encode()
        relays: list[Relay] = []
        try:
            world = self._world(caller, relays, argv[-1])
            path = self._folder / f"world-{threading.get_ident()}.json"
            path.write_text(json.dumps(world))
            command = [sys.executable, "-S", "-c", _BOTH, PRELUDE, argv[2], *argv[3:]]
            done = subprocess.run(command, env={"POD_WORLD": str(path)}, capture_output=True, timeout=60, check=False)
            return done.returncode, done.stdout + done.stderr
        finally:
            for relay in relays:
                relay.close()

    def _world(self, caller: Running, relays: list[Relay], asked: str) -> dict[str, Any]:
        """What is shown; there are ways to those services alone that `asked` names."""
        names: dict[str, list[str]] = {}
        routes: dict[str, int] = {}
        for other in self.all():
            if other.stopped:
                continue
            names.setdefault(other.service.replace("_", "-"), []).append(other.address)
            for port in other.ports if other.service.replace("_", "-") in asked else ():
                relay = Relay(self._dial(other, port), self._edge(caller.uid, other.uid), self._edge(other.uid, caller.uid))
                relays.append(relay)
                routes[f"{other.address}:{port}"] = relay.port
        group = self._folder / f"cgroup-{caller.uid}"
        group.mkdir(exist_ok=True)
        (group / "memory.current").write_text(str((30 << 20) + caller.holds_bytes))
        (group / "memory.max").write_text(str(caller.memory_limit))
        (group / "cpu.max").write_text(f"{round(CPU_LIMIT * 100_000)} 100000")
        cpus = min(CPU_LIMIT, IDLE_CPUS + caller.burns_cpus)
        return {"names": names, "routes": routes, "bad_names": caller.names, "group": str(group), "cpus": cpus, "full": caller.full}

    def _dial(self, other: Running, port: int) -> Callable[[], socket.socket]:
        return lambda: self.connect(other.uid, port)

    def _edge(self, origin: str, target: str) -> Callable[[], Edge]:
        return lambda: self.edges.get((origin, target), Edge())


class Relay:
    """A way between two pods: what goes through it suffers what is wrong with it at that moment."""

    def __init__(self, dial: Callable[[], socket.socket], there: Callable[[], Edge], back: Callable[[], Edge]) -> None:
        self._dial, self._there, self._back = dial, there, back
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes whoever waits for a connection
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                taken, _ = self._listener.accept()
                beyond = self._dial()
            except OSError:
                return
            for source, sink, edge in ((taken, beyond, self._there), (beyond, taken, self._back)):
                threading.Thread(target=_carry, args=(source, sink, edge), daemon=True).start()


def _carry(source: socket.socket, sink: socket.socket, edge: Callable[[], Edge]) -> None:
    try:
        while data := source.recv(65536):
            now = edge()
            while edge().cut:
                time.sleep(0.02)
            time.sleep(now.delay_s + (RESENT_S if random.random() < now.loss else 0.0))
            sink.sendall(data)
    except OSError:
        return
    finally:
        sink.close()


def _serve(connection: socket.socket, running: Running) -> None:
    serve = standins.BY_SERVICE.get(running.service, standins.http)
    try:
        with connection, connection.makefile("rb") as reader, connection.makefile("wb") as writer:
            serve(reader, writer, running.inside)
    except (OSError, ValueError):
        return  # whoever asked, or the pod, is gone


def _bytes(quantity: str) -> int:
    return int(quantity.removesuffix("Mi")) << 20
