"""An edge that is broken by the proxy on it: an entry in its table, and the ways through the proxy and past it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from harness.faults.admin_client import call
from harness.faults.base import Context, FaultError, Undo
from harness.faults.conversation import Dial, Talk, converse
from harness.record.clock import Clock
from harness.stack.base import AdminApi

ANYWHERE = ("0.0.0.0", "::")
_HEAD_BYTES_MAX = 4096


@dataclass(frozen=True, slots=True)
class ProxyWays:
    """`Ways` of one route of a proxy."""

    clock: Clock
    dial_through: Dial
    dial_past: Dial
    straight: bool

    def through(self, ask: bytes, patience_s: float) -> Talk:
        return converse(self.dial_through, ask, self.clock.now_ns, patience_s)

    def several(self, ask: bytes, patience_s: float, times: int) -> Iterator[Talk]:
        for _ in range(times):
            yield self.through(ask, patience_s)

    def past(self, ask: bytes, patience_s: float) -> Talk:
        return converse(self.dial_past, ask, self.clock.now_ns, patience_s)


class ProxyMeans:
    """`Means` of an edge with a proxy."""

    name = "proxy"

    def __init__(self, api: AdminApi, context: Context, edge: tuple[str, str], document: Callable[[], Mapping[str, Any]]) -> None:
        self._api = api
        self._context = context
        self._edge = edge
        self._document = document
        self._path = f"/faults/{context.fault_id}"

    def undo(self) -> Sequence[Undo]:
        return (Undo("http", {"method": "DELETE", "url": self._api.url.rstrip("/") + self._path, "token": self._api.token}),)

    def set(self) -> None:
        self._call("PUT", self._path, {**self._document(), "ttl_s": self._context.ttl_s})

    def clear(self) -> None:
        self._call("DELETE", self._path)

    def left(self) -> bool:
        return self._entry() is not None

    def touched(self) -> dict[str, Any]:
        entry = self._entry() or {}
        return {f"{count}_touched": entry[count] for count in ("connections", "chunks", "bytes", "requests") if count in entry}

    def ways(self) -> ProxyWays:
        why = "it has no routes"
        for name, route in self._call("GET", "/status")["routes"].items():
            ways = self._by(name, route)
            try:
                ways.dial_past(1.0).close()
            except OSError as error:
                why = f"{name}: {error}"
            else:
                return ways
        raise FaultError(f"no instance of {self._edge[1]} can be reached: {why}")

    def _by(self, name: str, route: Mapping[str, str]) -> ProxyWays:
        clock = self._context.clock
        if route["listen"].rpartition(":")[0] not in ANYWHERE:
            return ProxyWays(clock, _straight(route["listen"]), _straight(route["upstream"]), straight=True)
        return ProxyWays(clock, _tunnel(self._api, f"/through/{name}"), _tunnel(self._api, f"/past/{name}"), straight=False)

    def _entry(self) -> dict[str, Any] | None:
        """The fault as the proxy knows it, with what it has touched; None when it does not."""
        return next((entry for entry in self._call("GET", "/faults")["faults"] if entry["id"] == self._context.fault_id), None)

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        try:
            return call(self._api, method, path, body)
        except ConnectionRefusedError as error:
            raise FaultError(f"the proxy on {'->'.join(self._edge)} does not listen: {error}") from error


def _straight(address: str) -> Dial:
    host, _, port = address.rpartition(":")
    return lambda timeout_s: socket.create_connection((host, int(port)), timeout=timeout_s)


def _tunnel(api: AdminApi, path: str) -> Dial:
    """Through the control port, the only one of a proxy in a container that is reached from here."""
    url = urlsplit(api.url)

    def dial(timeout_s: float) -> socket.socket:
        connection = socket.create_connection((url.hostname or "127.0.0.1", url.port or 80), timeout=timeout_s)
        try:
            connection.sendall(f"CONNECT {path} HTTP/1.1\r\nauthorization: Bearer {api.token}\r\n\r\n".encode())
            head = b""
            while not head.endswith(b"\r\n\r\n") and len(head) < _HEAD_BYTES_MAX:
                byte = connection.recv(1)
                if not byte:
                    break
                head += byte
            if not head.startswith(b"HTTP/1.1 200"):
                raise ConnectionError(f"no way {path}: {head[:60]!r}")
        except BaseException:
            connection.close()
            raise
        return connection

    return dial
