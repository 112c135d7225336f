"""Proxies between two services, started only on the edges that a fault of this run needs."""

from __future__ import annotations

import json
from collections.abc import Callable

from harness.stack.base import AdminApi, StackError
from harness.stack.child import Child, Command
from harness.stack.options import StackOptions
from harness.stack.ports import LOOPBACK, free_ports
from harness.stack.ready import Probe, wait_ready

READY_DEADLINE_S = 15.0
STOP_GRACE_S = 2.0

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

    def start(self, caller: str, callee: str, upstream_port: int) -> int:
        """Start one and return the port that the caller is to use. Raises StackError."""
        listen, admin = free_ports(2)
        places = ("--listen", f"{LOOPBACK}:{listen}", "--upstream", f"{LOOPBACK}:{upstream_port}", "--admin", f"{LOOPBACK}:{admin}")
        name = f"proxy {caller}->{callee}"
        command = self._command(f"proxy-{caller}-{callee}.log", {"PROXY_TOKEN": self._token}, (*places, "--seed", str(self._options.seed)))
        child = Child(command)
        self._children.append(child)
        wait_ready(
            name,
            lambda: None if announced(child.log_tail()) else "it has not said where it listens",
            READY_DEADLINE_S,
            alive=lambda: self._given_up() or child.ended(),
            log_tail=child.log_tail,
        )
        self._ports[caller, callee] = (listen, admin)
        return listen

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


def announced(log: str) -> bool:
    """A line of JSON with its ports is the proxy's word that both accept connections."""
    for line in log.splitlines():
        try:
            if {"listen", "admin"} <= set(json.loads(line)):
                return True
        except (ValueError, TypeError):
            continue
    return False
