"""Proxies between two services, in containers of the same network, started only on the edges that a fault of this run needs."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from harness.stack.base import AdminApi, Limits, StackError
from harness.stack.containers.container import Container, ContainerSpec, Mount
from harness.stack.containers.launch import ADMIN_PORT, MIB
from harness.stack.containers.site import Site
from harness.stack.options import StackOptions
from harness.stack.ports import LOOPBACK, free_ports
from harness.stack.proxies import READY_DEADLINE_S, STOP_GRACE_S, Routes, announced
from harness.stack.ready import Probe, wait_ready

PACKAGE = "/opt/proxy"
"""Where the proxy's own code is shown to the container: no image of the services has it."""
SERVICES_PATH = "/opt/gauntlet/site"
EVERYWHERE = "0.0.0.0"  # in its container
LIMITS = Limits(memory_bytes=256 * MIB)


class ContainerProxies:
    """One TCP proxy for each edge it was started on. It has a name of its own in the network."""

    def __init__(self, options: StackOptions, token: str, site: Site, given_up: Probe) -> None:
        self._options = options
        self._token = token
        self._site = site
        self._given_up = given_up
        self._containers: dict[tuple[str, str], Container] = {}
        self._admin_ports: dict[tuple[str, str], int] = {}

    def start(self, caller: str, callee: str, upstream: str | None = None) -> None:
        """Start one, in front of the URL that the caller would use or of those that `via` names. Raises StackError."""
        (admin,) = free_ports(1)
        spec = ContainerSpec(
            name=self._site.name_of(_host(caller, callee)),
            host=_host(caller, callee),
            image=self._site.image("services"),
            labels=self._site.labels,
            network=self._site.network,
            limits=LIMITS,
            command=(
                "harness.faults.proxy",
                *(_in_front_of(upstream) if upstream is not None else ()),
                *("--admin", f"{EVERYWHERE}:{ADMIN_PORT}", "--seed", str(self._options.seed)),
            ),
            environment={"PROXY_TOKEN": self._token, "PYTHONPATH": f"{PACKAGE}:{SERVICES_PATH}"},
            published={ADMIN_PORT: admin},
            mounts=(Mount(str(package()), f"{PACKAGE}/harness"),),
        )
        # its log lies in the work directory: the run's logs are telemetry, and the stack knows no proxy
        container = Container(self._site.api, spec, self._options.work_dir / f"proxy-{caller}-{callee}.log")
        self._containers[caller, callee] = container
        wait_ready(
            f"proxy {caller}->{callee}",
            lambda: None if announced(container.log_tail()) else "it has not said where it listens",
            READY_DEADLINE_S,
            alive=lambda: self._given_up() or container.ended(),
            log_tail=container.log_tail,
        )
        self._admin_ports[caller, callee] = admin

    def via(self, caller: str, callee: str) -> Callable[[str], str]:
        """Where the caller is sent that would go to an instance of the callee. Raises StackError."""
        return Routes(self.admin(caller, callee), EVERYWHERE, _host(caller, callee)).via

    def in_place_of(self, caller: str, engine: str, url: str) -> str:
        """Where the caller finds the engine, which others find at `url`: the same without a proxy."""
        if (caller, engine) not in self._containers:
            return url
        return url.replace(f"{urlsplit(url).hostname}:", f"{_host(caller, engine)}:", 1)

    def admin(self, caller: str, callee: str) -> AdminApi:
        """Control of the proxy on an edge. Raises StackError where there is none."""
        port = self._admin_ports.get((caller, callee))
        if port is None:
            raise StackError(f"no proxy on {caller}->{callee}: the stack was started without one there")
        return AdminApi(f"http://{LOOPBACK}:{port}", self._token)

    def stop(self) -> None:
        """End all; harmless when they are gone. Raises StackError."""
        for container in self._containers.values():
            container.terminate()
        for container in self._containers.values():
            container.stop(STOP_GRACE_S)


def _in_front_of(url: str) -> tuple[str, ...]:
    place = urlsplit(url)
    return ("--listen", f"{EVERYWHERE}:{place.port}", "--upstream", f"{place.hostname}:{place.port}")


def _host(caller: str, callee: str) -> str:
    return f"{callee}-for-{caller}".replace("_", "-")


def package() -> Path:
    """The folder with the proxy's own code in it. Raises StackError."""
    spec = importlib.util.find_spec("harness")
    if spec is None or not spec.submodule_search_locations:
        raise StackError("the package `harness` is not installed as a folder")
    return Path(next(iter(spec.submodule_search_locations))).resolve()
