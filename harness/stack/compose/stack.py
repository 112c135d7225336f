"""A team's own compose file: run under a name of its own, loaded, broken and removed, with nothing of theirs edited or touched."""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from harness.scenario.catalog import StackInfo
from harness.scenario.model import StackSpec
from harness.scenario.services import LLM, ComposeService
from harness.stack import http_probe
from harness.stack.base import AdminApi, Instance, Limits, Place, StackError, Stress
from harness.stack.catalog import compose_info
from harness.stack.compose import addresses, beside, cli
from harness.stack.compose.instance import READY_DEADLINE_S, ComposedInstance
from harness.stack.compose.logs import LogFollower
from harness.stack.compose.project import Beside, Plan, project
from harness.stack.compose.replica import add_replica
from harness.stack.containers.launch import ADMIN_PORT, HTTP_PORT
from harness.stack.containers.site import Site
from harness.stack.containers.tools import ExecStress, NetworkTools
from harness.stack.credentials import Credentials
from harness.stack.launch import run_to_end
from harness.stack.options import StackOptions
from harness.stack.ports import LOOPBACK, free_ports
from harness.stack.ready import wait_ready
from harness.stack.topology import instance_name

UP_DEADLINE_S = 600.0
"""It may have to build and to pull."""
DOWN_DEADLINE_S = 60.0
PORT_TRIES = 3
STARTS_AT_ONCE = 8
_MOCK = ComposeService(port=HTTP_PORT, role="llm", health="/ready", metrics="/metrics")
_TAKEN = ("port is already allocated", "address already in use")


class ComposeStack:
    """`Stack` of the containers of a compose project. A stopped one cannot be started again."""

    def __init__(self, spec: StackSpec, options: StackOptions) -> None:
        """Check what can be checked; nothing is started, no file is read. Raises ValueError."""
        self._info = compose_info(spec)
        self._spec = spec
        self._options = options
        self._mapped = {**spec.composed, **({LLM: _MOCK} if spec.llm else {})}
        self._credentials = Credentials.fresh()
        self._site = Site(options.run_id)
        self._tools = NetworkTools(self._site)
        self._resolved: Mapping[str, Any] = {}
        self._lock = threading.Lock()  # of the instances
        self._scaling = threading.Lock()
        self._instances: dict[str, ComposedInstance] = {}
        self._followers: list[LogFollower] = []
        self._admin_ports: dict[str | tuple[str, str], int] = {}  # of the mock by its name, of proxies by their edges
        self._given_up = threading.Event()
        self._stopping = threading.Lock()

    # --- Stack

    @property
    def info(self) -> StackInfo:
        return self._info

    @property
    def entry_url(self) -> str:
        entry = next((name for name, service in self._spec.composed.items() if service.entry), next(iter(self._spec.composed)))
        return self._get(instance_name(entry, 1)).url

    @property
    def api_key(self) -> str | None:
        """None: a journey carries the headers that its service wants."""
        return None

    @property
    def provider_key(self) -> str:
        """Credential of the mock LLM's public interface."""
        return self._credentials.provider_key

    def start(self) -> None:
        try:
            self._resolved = cli.resolve(Path(self._spec.file or ""))
            self._options.work_dir.mkdir(parents=True)
            self._options.work_dir.chmod(0o711)  # the mock, another user, must be able to pass through
            self._site.find(("services", "tools") if self._spec.llm or self._options.proxied_edges else ("tools",))
            ports = self._bring_up()
            self._meet(ports)
            for name in self._spec.composed:
                self._scale(name, self._info.services[name])
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Raises StackError only when something cannot be removed."""
        self._given_up.set()
        with self._stopping:
            if self._document.exists():
                self._take_down()
            for follower in self._followers:
                follower.stop()
            left = self._site.clear()
            shutil.rmtree(self._options.work_dir, ignore_errors=True)
        if left:
            raise StackError(f"cannot be removed: {', '.join(left)}")

    def instances(self, service: str) -> Sequence[Instance]:
        return [instance.describe() for instance in self._of(service)]

    def probe(self, instance: Instance) -> str | None:
        return addresses.probe(self._mapped[instance.service], instance.url)

    def targets(self) -> Mapping[str, Any]:
        """As of an external stack: every address is `static`."""
        urls = {name: [instance.url for instance in self._of(name)] for name in self._mapped}
        return {
            "services": {name: addresses.observed(mapped, *urls[name][:1]) for name, mapped in self._mapped.items()},
            "registry": None,
            "static": urls,
            "edges": [list(edge) for edge in self._spec.edges],
        }

    # --- capabilities

    def kill(self, instance: str) -> None:
        self._get(instance).kill()

    def stop_instance(self, instance: str, grace_s: float) -> None:
        self._get(instance).stop(grace_s)

    def restart(self, instance: str) -> None:
        found = self._get(instance)
        found.restart(partial(self.probe, found.describe()))

    def set_paused(self, instance: str, paused: bool) -> None:
        self._get(instance).set_paused(paused)

    def scale(self, service: str, replicas: int) -> None:
        """Peers find a new instance under the service's name. Raises StackError for one that cannot be there twice."""
        if not self._info.acts("Scalable", service):
            raise StackError(f"{service} cannot be scaled here: a second one would hold other data, or the same")
        self._scale(service, replicas)

    def place(self, instance: str) -> Place:
        return self._get(instance).place()

    def limit(self, instance: str, limits: Limits) -> Limits:
        return self._get(instance).limit(limits)

    def stress(self, instance: str, script: Path, arguments: Sequence[str]) -> Stress:
        """For a service whose image has `python3`. Raises StackError for others."""
        try:
            return ExecStress(self._site.api, self._get(instance), script, arguments)
        except StackError as error:
            raise StackError(f"{instance}: a program beside it needs `python3` in its image: {error}") from error

    def run_in_network(self, instance: str, argv: Sequence[str]) -> str:
        return self._tools.run(instance, self._get(instance), argv)

    def log_path(self, instance: str) -> Path:
        self._get(instance)
        return self._options.logs_dir / f"{instance}.log"

    def admin(self, service: str) -> AdminApi:
        """Of the mock LLM. Raises StackError for any other service."""
        return self._api_at(service, f"{service} has no admin API: it is no mock")

    def proxy(self, caller: str, callee: str) -> AdminApi:
        return self._api_at((caller, callee), f"no proxy on {caller}->{callee}: the stack was started without one there")

    # --- the start

    def _bring_up(self) -> Mapping[str, int]:
        """All of the project; returns the ports of its services, which nobody else was quicker to take. Raises StackError."""
        with_us = self._options.work_dir / "beside"
        for tries_left in reversed(range(PORT_TRIES)):
            shutil.rmtree(with_us, ignore_errors=True)
            ports = dict(zip(self._mapped, free_ports(len(self._mapped)), strict=True))
            document = project(self._resolved, self._spec, self._plan(ports, with_us))
            self._document.touch(mode=0o600)  # it holds what the environment holds
            self._document.write_text(json.dumps(document), encoding="utf-8")
            command = cli.up(self._project, self._document, self._options.run_id, self._log)
            try:
                run_to_end(f"docker compose up of {self._spec.file}", command, UP_DEADLINE_S, self._reason_to_give_up)
            except StackError as error:
                if tries_left == 0 or not any(word in str(error) for word in _TAKEN):
                    raise
            else:
                break
        return ports

    def _plan(self, ports: Mapping[str, int], folder: Path) -> Plan:
        options, ours = self._options, list[Beside]()
        image = partial(self._site.image, "services")
        if self._spec.llm:
            (self._admin_ports[LLM],) = free_ports(1)
            published = {HTTP_PORT: ports[LLM], ADMIN_PORT: self._admin_ports[LLM]}
            ours.append(beside.mock_llm(image(), folder, self._credentials, options.seed, published))
        for edge in sorted(options.proxied_edges):
            (self._admin_ports[edge],) = free_ports(1)
            inside, token = self._mapped[edge[1]].listens_on, self._credentials.admin_token
            ours.append(beside.proxy(image(), edge, inside, token, options.seed, self._admin_ports[edge]))
        memory = psutil.virtual_memory().total
        return Plan(options.run_id, ports, memory, ours, beside.LLM_URL, self._credentials.provider_key)

    def _meet(self, ports: Mapping[str, int]) -> None:
        """Find the first instance of each service, and wait until all are ready."""
        for name, mapped in self._mapped.items():
            url = addresses.url_of(mapped, self._resolved["services"].get(name, {}), ports[name])
            self._take(name, 1, url)
        found = [self._get(instance_name(name, 1)) for name in self._mapped]
        with ThreadPoolExecutor(STARTS_AT_ONCE, thread_name_prefix="ready") as pool:
            list(pool.map(self._await_ready, found))
        for edge in self._options.proxied_edges:
            wait_ready(f"proxy {'->'.join(edge)}", partial(http_probe.reachable, self.proxy(*edge).url), READY_DEADLINE_S)

    def _await_ready(self, instance: ComposedInstance) -> None:
        instance.await_ready(partial(self.probe, instance.describe()), READY_DEADLINE_S, self._reason_to_give_up)

    def _take(self, service: str, number: int, url: str) -> ComposedInstance:
        """A container of the project as the instance that it is. Raises StackError."""
        name = instance_name(service, number)
        instance = ComposedInstance(self._site.api, service, name, url, self._container(service, number), self._mapped[service].listens_on)
        with self._lock:
            self._instances[name] = instance
        self._followers.append(LogFollower(self._site.api, instance, self._options.logs_dir / f"{name}.log"))
        return instance

    def _take_down(self) -> None:
        """As compose does it, so that services end in order; what is left of it, for whatever reason, goes by its label."""
        command = cli.down(self._project, self._document, self._options.run_id, self._log)
        with contextlib.suppress(StackError):
            run_to_end("docker compose down", command, DOWN_DEADLINE_S, lambda: None)

    # --- instances

    def _scale(self, service: str, replicas: int) -> None:
        with self._scaling:
            present = self._of(service)
            for number in range(len(present) + 1, replicas + 1):
                self._add(service, number)
            for instance in reversed(present[max(1, replicas) :]):
                with self._lock:
                    del self._instances[instance.name]
                instance.remove()

    def _add(self, service: str, number: int) -> None:
        (port,) = free_ports(1)
        inside = self._mapped[service].listens_on
        add_replica(self._site.api, self._get(instance_name(service, 1)).inspect(), self._container(service, number), number, inside, port)
        instance = self._take(service, number, addresses.url_of(self._mapped[service], {}, port))
        self._await_ready(instance)

    def _of(self, service: str) -> list[ComposedInstance]:
        if service not in self._mapped:
            raise StackError(f"no service {service!r}; there are {', '.join(self._mapped)}")
        with self._lock:
            found = [instance for instance in self._instances.values() if instance.service == service]
        return sorted(found, key=lambda instance: int(instance.name.rpartition("-")[2]))

    def _get(self, name: str) -> ComposedInstance:
        with self._lock:
            if name not in self._instances:
                raise StackError(f"no instance {name!r}; there are {', '.join(self._instances) or 'none yet'}")
            return self._instances[name]

    def _api_at(self, what: str | tuple[str, str], otherwise: str) -> AdminApi:
        if what not in self._admin_ports:
            raise StackError(otherwise)
        return AdminApi(f"http://{LOOPBACK}:{self._admin_ports[what]}", self._credentials.admin_token)

    def _container(self, service: str, number: int) -> str:
        return f"{self._project}-{service}-{number}"

    @property
    def _project(self) -> str:
        return f"gauntlet-{self._options.run_id}"

    @property
    def _document(self) -> Path:
        return self._options.work_dir / "project.json"

    @property
    def _log(self) -> Path:
        return self._options.work_dir / "compose.log"  # no log of the services: it names proxies

    def _reason_to_give_up(self) -> str | None:
        return "the stack is being stopped" if self._given_up.is_set() else None
