"""The proxy as a program, a server behind it and connections through it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness.faults.admin_client import call
from harness.stack.base import AdminApi

TOKEN = "secret"
TIMEOUT_S = 30.0


class Upstream:
    """A server on a free port; `serve` handles one connection in its own thread."""

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self._serve = serve
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(TIMEOUT_S)
            thread = threading.Thread(target=self._one, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _one(self, connection: socket.socket) -> None:
        with connection:
            try:
                self._serve(connection)
            except OSError:
                return

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(TIMEOUT_S)


def echo(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while data := connection.recv(65536):
        connection.sendall(data)


@dataclass
class Proxy:
    process: subprocess.Popen[bytes]
    port: int
    admin: AdminApi

    def connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def put(self, fault_id: str, **document: Any) -> None:
        call(self.admin, "PUT", f"/faults/{fault_id}", {"type": "latency", **document})

    def take(self, fault_id: str) -> dict[str, Any]:
        """Take a fault away; returns what it had touched."""
        (entry,) = [one for one in call(self.admin, "GET", "/faults")["faults"] if one["id"] == fault_id]
        call(self.admin, "DELETE", f"/faults/{fault_id}")
        found: dict[str, Any] = entry
        return found


def start(upstream_port: int) -> Proxy:
    argv = ["--listen", "127.0.0.1:0", "--upstream", f"127.0.0.1:{upstream_port}", "--admin", "127.0.0.1:0", "--token", TOKEN]
    process = subprocess.Popen([sys.executable, "-m", "harness.faults.proxy", *argv], stdout=subprocess.PIPE)
    assert process.stdout is not None
    ports = json.loads(process.stdout.readline())
    return Proxy(process, ports["listen"], AdminApi(f"http://127.0.0.1:{ports['admin']}", TOKEN))


def stop(proxy: Proxy) -> int:
    proxy.process.terminate()
    proxy.process.communicate(timeout=TIMEOUT_S)
    return proxy.process.returncode


def round_trip_s(connection: socket.socket, data: bytes = b"ping") -> float:
    started_s = time.monotonic()
    connection.sendall(data)
    assert receive(connection, len(data)) == data
    return time.monotonic() - started_s


def receive(connection: socket.socket, count: int) -> bytes:
    """So many bytes, fewer only before the end. A socket with a timeout heeds no MSG_WAITALL."""
    received = b""
    while len(received) < count and (part := connection.recv(count - len(received))):
        received += part
    return received
