"""Proxies between two services, started only on the edges that a fault of this run needs."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from urllib.parse import urlsplit

from harness.stack.base import AdminApi, StackError
from harness.stack.child import Child, Command
from harness.stack.options import StackOptions
from harness.stack.ports import LOOPBACK, free_ports
from harness.stack.ready import Probe, wait_ready

READY_DEADLINE_S = 15.0
STOP_GRACE_S = 2.0
ROUTE_TIMEOUT_S = 2.0

ProxyCommand = Callable[[str, dict[str, str], tuple[str, ...]], Command]
"""(name of the log, environment, arguments) -> command of one proxy."""


class EdgeProxies:
    """One TCP proxy for each edge it was started on, with ports of its own for traffic and control."""

    def __init__(self, options: StackOptions, token: str, command: ProxyCommand, given_up: Probe) -> None:
        self._options = options
        self._token = token
        self._command = command
        self._given_up = given_up
        self._children: list[Child] = []
        self._ports: dict[tuple[str, str], tuple[int, int]] = {}

    def start(self, caller: str, callee: str, upstream_port: int | None = None) -> None:
        """Start one, for an upstream that is known already or for those that `via` names. Raises StackError."""
        listen, admin = free_ports(2)
        first = () if upstream_port is None else ("--listen", f"{LOOPBACK}:{listen}", "--upstream", f"{LOOPBACK}:{upstream_port}")
        arguments = (*first, "--admin", f"{LOOPBACK}:{admin}", "--seed", str(self._options.seed))
        child = Child(self._command(f"proxy-{caller}-{callee}.log", {"PROXY_TOKEN": self._token}, arguments))
        self._children.append(child)
        wait_ready(
            f"proxy {caller}->{callee}",
            lambda: None if announced(child.log_tail()) else "it has not said where it listens",
            READY_DEADLINE_S,
            alive=lambda: self._given_up() or child.ended(),
            log_tail=child.log_tail,
        )
        self._ports[caller, callee] = (listen, admin)

    def via(self, caller: str, callee: str) -> Callable[[str], str]:
        """Where the caller is sent that would go to an instance of the callee. Raises StackError."""
        return Routes(self.admin(caller, callee)).via

    def port(self, caller: str, callee: str) -> int | None:
        """Where the caller finds the callee; None for an edge without a proxy."""
        ports = self._ports.get((caller, callee))
        return ports[0] if ports is not None else None

    def admin(self, caller: str, callee: str) -> AdminApi:
        """Control of the proxy on an edge. Raises StackError where there is none."""
        ports = self._ports.get((caller, callee))
        if ports is None:
            raise StackError(f"no proxy on {caller}->{callee}: the stack was started without one there")
        return AdminApi(f"http://{LOOPBACK}:{ports[1]}", self._token)

    def stop(self) -> None:
        """End all; harmless when they are gone. Raises StackError."""
        for child in self._children:
            child.terminate()
        for child in self._children:
            child.stop(STOP_GRACE_S)


class Routes:
    """The ways through one proxy: one for each address that an instance of the callee has had.

    An address that was given once stays: who looked it up may not have noticed yet that the instance has moved.
    """

    def __init__(self, api: AdminApi, listen_host: str = LOOPBACK, host: str = LOOPBACK) -> None:
        """The proxy listens on `listen_host`, which the caller knows as `host`."""
        self._api = api
        self._listen_host = listen_host
        self._host = host
        self._known: dict[str, str] = {}

    def via(self, url: str) -> str:
        """The URL that leads there through the proxy. Raises StackError."""
        if url not in self._known:
            place = urlsplit(url)
            upstream = f"{place.hostname}:{place.port}"
            listen = self._open(upstream.replace(":", "-"), {"upstream": upstream, "listen": f"{self._listen_host}:0"})
            self._known[url] = place._replace(netloc=f"{self._host}:{listen.rpartition(':')[2]}").geturl()
        return self._known[url]

    def _open(self, name: str, document: dict[str, str]) -> str:
        control = urlsplit(self._api.url)
        connection = http.client.HTTPConnection(control.hostname or LOOPBACK, control.port, timeout=ROUTE_TIMEOUT_S)
        try:
            connection.request("PUT", f"/routes/{name}", json.dumps(document), {"authorization": f"Bearer {self._api.token}"})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                raise StackError(f"no route to {document['upstream']}: {answer.status} {text[:200].decode(errors='replace')}")
            return str(json.loads(text)["listen"])
        except (OSError, http.client.HTTPException) as error:
            raise StackError(f"no route to {document['upstream']}: {type(error).__name__}: {error}") from error
        finally:
            connection.close()


def announced(log: str) -> bool:
    """A line of JSON with its ports is the proxy's word that both accept connections."""
    for line in log.splitlines():
        try:
            if {"listen", "admin"} <= set(json.loads(line)):
                return True
        except (ValueError, TypeError):
            continue
    return False
