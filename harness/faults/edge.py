"""What the faults of one edge share: their entry in the table of its proxy, and the ways through the proxy and past it."""

from __future__ import annotations

import socket
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from harness.faults.admin_client import call
from harness.faults.base import Evidence, FaultError, Parameters, TargetedFault, Undo, capability
from harness.faults.roundtrip import Dial
from harness.stack.base import AdminApi, Proxied, StackError

ANYWHERE = ("0.0.0.0", "::")
_HEAD_BYTES_MAX = 4096


@dataclass(frozen=True, slots=True)
class Ways:
    """How to reach one instance of the callee: `through` the proxy, as the caller does, and `past` it.

    `straight`: no forwarder lies on the way, which would make an end in order of a reset.
    """

    route: str
    through: Dial
    past: Dial
    straight: bool


class EdgeFault(TargetedFault[Parameters]):
    """A fault in the proxy's table. A subclass says which toxic it is (`document`) and looks at what a caller would notice."""

    @abstractmethod
    def document(self) -> Mapping[str, Any]:
        """The toxic as the proxy's admin API wants it, without its time to live."""

    @abstractmethod
    def whole(self) -> Evidence | None:
        """One look at an edge that should be as good as any: evidence, or None while it is not."""

    def undo(self) -> Sequence[Undo]:
        api = self._api()
        return (Undo("http", {"method": "DELETE", "url": api.url.rstrip("/") + self._path, "token": api.token}),)

    def inject(self) -> None:
        self._call("PUT", self._path, {**self.document(), "ttl_s": self.context.ttl_s})

    def heal(self) -> None:
        self._call("DELETE", self._path)

    def gone(self) -> Evidence | None:
        return None if self.entry() is not None else self.whole()

    def entry(self) -> dict[str, Any] | None:
        """The fault as the proxy knows it, with what it has touched; None when it does not."""
        return next((entry for entry in self._call("GET", "/faults")["faults"] if entry["id"] == self.context.fault_id), None)

    def touched(self) -> dict[str, Any]:
        """What it has touched so far, also of others: connections, chunks and bytes, or requests."""
        entry = self.entry() or {}
        return {f"{count}_touched": entry[count] for count in ("connections", "chunks", "bytes", "requests") if count in entry}

    def ways(self) -> Ways:
        """To an instance of the callee that can be reached past the proxy. Raises FaultError when there is none."""
        api, why = self._api(), "it has no routes"
        for name, route in self._call("GET", "/status")["routes"].items():
            ways = _ways(api, name, route)
            try:
                ways.past(1.0).close()
            except OSError as error:
                why = f"{name}: {error}"
            else:
                return ways
        raise FaultError(f"no instance of {self.target.service} can be reached: {why}")

    def callee_url(self) -> str:
        """Of any instance: its scheme and credentials hold for all."""
        return self.context.stack.instances(self.target.service)[0].url

    @property
    def _path(self) -> str:
        return f"/faults/{self.context.fault_id}"

    def _api(self) -> AdminApi:
        if self.target.edge is None:
            raise FaultError(f"{self.target.text} is no edge; write caller->callee")
        try:
            return capability(self.context.stack, Proxied).proxy(*self.target.edge)
        except StackError as error:
            raise FaultError(str(error)) from error

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        try:
            return call(self._api(), method, path, body)
        except ConnectionRefusedError as error:
            raise FaultError(f"the proxy on {self.target.text} does not listen: {error}") from error


def _ways(api: AdminApi, name: str, route: Mapping[str, str]) -> Ways:
    if route["listen"].rpartition(":")[0] not in ANYWHERE:
        return Ways(name, _straight(route["listen"]), _straight(route["upstream"]), straight=True)
    return Ways(name, _tunnel(api, f"/through/{name}"), _tunnel(api, f"/past/{name}"), straight=False)


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
