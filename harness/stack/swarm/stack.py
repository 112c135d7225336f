"""The reference RAG stack as services of a Docker swarm that runs already: over several engines, replicated and spread."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from harness import sweep_swarm
from harness.record.clock import Clock, SystemClock
from harness.scenario.catalog import StackInfo
from harness.scenario.model import StackSpec
from harness.stack import data, http_probe
from harness.stack.base import AdminApi, Instance, StackError
from harness.stack.catalog import info_for
from harness.stack.containers.api import EngineError
from harness.stack.containers.launch import ADMIN_PORT, ENGINES, HTTP_PORT
from harness.stack.credentials import Credentials
from harness.stack.options import StackOptions
from harness.stack.ready import wait_ready
from harness.stack.registry import RegistryFile
from harness.stack.swarm import deployment, material
from harness.stack.swarm.hosts import SwarmHosts
from harness.stack.swarm.logs import TaskLogs
from harness.stack.swarm.nodes import Node, Nodes
from harness.stack.swarm.placement import takes_part, to_move
from harness.stack.swarm.stack_file import DRAIN_S, is_pinned
from harness.stack.swarm.tasks import Task
from harness.stack.swarm.view import Seat, View
from harness.stack.topology import PROVIDERS, SNAPSHOTS, instance_name, topology

READY_DEADLINE_S = 90.0
REPLACED_DEADLINE_S = 30.0
"""In which the swarm puts another task into the place of one that ended, or went with its node."""
PROBES_AT_ONCE = 16
_ENDED = (304, 404, 409)  # it has not been running; it is gone

Place = tuple[str, int]
"""Service and number of an instance."""
_ANY: Mapping[Place, Task | None] = {}


class SwarmStack(SwarmHosts):
    """`Stack` of swarm services, with the same data as any reference stack. A stopped one cannot be started again.

    An instance is a slot of a service. What happens to the task in it, the swarm makes good by itself; where it is then, `View` learns.
    """

    def __init__(self, spec: StackSpec, options: StackOptions, clock: Clock | None = None) -> None:
        """Check what can be checked; nothing is started, no engine is asked. Raises ValueError."""
        self._info = info_for(spec)
        self._spec = spec
        self._options = options
        self._clock = clock or SystemClock()
        self._topology = topology(options.vector_store)
        self._credentials = Credentials.fresh()
        self._passwords = material.Passwords()
        self._registry = RegistryFile(options.work_dir)  # for whoever watches; services ask the swarm's name servers
        self._nodes = Nodes(spec.nodes)
        self._view = View(self._nodes, deployment.namespace(options.run_id), self._note)
        self._logs = TaskLogs(options.logs_dir)
        self._replicas = dict(self._info.services)
        self._changing = threading.Lock()
        self._noting = threading.Lock()
        self._given_up = threading.Event()
        self._stopping = threading.Lock()

    # --- Stack

    @property
    def info(self) -> StackInfo:
        return self._info

    @property
    def entry_url(self) -> str:
        return self._described("gateway-1").url

    @property
    def api_key(self) -> str | None:
        return self._credentials.api_key

    @property
    def preferred_model(self) -> str:
        """The name in answers of the provider that the deployment prefers: by it, others tell which path served an answer."""
        return SNAPSHOTS[PROVIDERS[0]]

    @property
    def provider_key(self) -> str:
        """Credential of the mock providers' public interface."""
        return self._credentials.provider_key

    @property
    def corpus_path(self) -> Path:
        """`corpus.jsonl`, from `start` to `stop`."""
        return data.corpus_path(self._options)

    @property
    def questions_path(self) -> Path:
        """`questions.jsonl`, from `start` to `stop`."""
        return data.questions_path(self._options)

    def start(self) -> None:
        try:
            self._nodes.find(self._spec.allow_hosts)
            self._options.work_dir.mkdir(parents=True)
            sweep_swarm.remember(self._options.work_dir, self._engines)
            with ThreadPoolExecutor(1, thread_name_prefix="corpus") as pool:
                corpus = pool.submit(data.make_corpus, self._options, self._reason_to_give_up)
                deployment.deploy(
                    self._topology,
                    self._nodes,
                    self._options,
                    self._credentials,
                    self._passwords,
                    self._info.services,
                    self._reason_to_give_up,
                )
                corpus.result()
            self._view.start()
            self._await([("postgres", 1)])
            self._note()  # the migration may have to look a vector store up
            self._migrate()
            self._await([(service, number) for service, count in self._replicas.items() for number in range(1, count + 1)])
            self.spread()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Raises StackError only when something cannot be removed."""
        self._given_up.set()
        with self._stopping:
            self._view.stop()
            left: list[str] = []
            if sweep_swarm.engines_of(self._options.work_dir):
                _, left = sweep_swarm.clear(self._engines, self._options.run_id, self._clock)
            if not left:  # else what is left can be found by it
                shutil.rmtree(self._options.work_dir, ignore_errors=True)
        if left:
            raise StackError(f"cannot be removed: {', '.join(left)}")

    def instances(self, service: str) -> Sequence[Instance]:
        if service not in self._replicas:
            raise StackError(f"no service {service!r}; there are {', '.join(self._replicas)}")
        return [self._instance(service, number) for number in range(1, self._replicas[service] + 1)] if self._view.seats() else []

    def probe(self, instance: Instance) -> str | None:
        engine = ENGINES.get(instance.service)
        return engine.probe(instance.url) if engine is not None else http_probe.ready(instance.url)

    def targets(self) -> Mapping[str, Any]:
        """As of the reference stack on any other driver."""
        return self._topology.targets(self._registry.path, lambda service: [instance.url for instance in self.instances(service)])

    # --- capabilities: those of hosts are in `SwarmHosts`

    def kill(self, instance: str) -> None:
        """The swarm starts another one in its place."""
        self._to_container(instance, "kill", {})

    def restart(self, instance: str) -> None:
        """Let what fills its place end, and wait for the swarm to fill it again: elsewhere, where its node is lost."""
        before = self._view.seat(instance).task
        try:
            self._to_container(instance, "stop", {"t": DRAIN_S})
        except EngineError as error:
            if error.status != 0:
                raise  # its node is there, and refuses
        described = self._described(instance)
        place = described.service, int(instance.rpartition("-")[2])
        self._await([place], REPLACED_DEADLINE_S, {place: before})

    def set_paused(self, instance: str, paused: bool) -> None:
        self._to_container(instance, "pause" if paused else "unpause", {})

    def scale(self, service: str, replicas: int) -> None:
        """Callers find new ones under the service's name."""
        try:
            self._topology.check_replicas(service, replicas)
        except ValueError as error:
            raise StackError(str(error)) from error
        with self._changing:
            mode = {"Replicated": {"Replicas": replicas}}
            self._nodes.change(f"/services/{self._view.service_id(service)}", lambda spec: {**spec, "Mode": mode})
            self._replicas[service] = replicas
            self._await([(service, number) for number in range(1, replicas + 1)], REPLACED_DEADLINE_S)
            self._note()

    def spread(self) -> bool:
        pinned = frozenset(service.name for service in self._topology.services.values() if is_pinned(service))
        moved = False
        for node in self._nodes.all():
            by_host = {other.name: self.instances_on(other.name) for other in self._nodes.all()}
            if by_host[node.name] or not takes_part(self._nodes.look_at(node.name)):
                continue
            moving = to_move(by_host, node.name, pinned)
            with ThreadPoolExecutor(max(1, len(moving)), thread_name_prefix="move") as pool:
                list(pool.map(self.restart, moving))
            moved = moved or bool(moving)
        self._note()
        return moved

    def admin(self, service: str) -> AdminApi:
        """Of a mock. Raises StackError for any other service."""
        if service not in self._topology.programmable:
            raise StackError(f"{service} has no admin API; {' and '.join(self._topology.programmable)} have")
        seat = self._view.seat(instance_name(service, 1))
        if seat.task is None:
            raise StackError(f"{service} does not run: the stack was not started")
        return AdminApi(f"http://{seat.host}:{seat.port(ADMIN_PORT)}", self._credentials.admin_token)

    # --- the start

    def _migrate(self) -> None:
        data.migrate(self._options, self._instance("postgres", 1).url, self._registry.path, self._reason_to_give_up)

    def _await(self, places: Sequence[Place], within_s: float = READY_DEADLINE_S, instead_of: Mapping[Place, Task | None] = _ANY) -> None:
        """Until all of these are ready, none of them by the task that it had."""

        def wait(place: Place) -> None:
            name, old = instance_name(*place), instead_of.get(place)
            look = partial(self._replaced, self._instance(*place), old.id if old is not None else None)
            wait_ready(name, look, within_s, alive=self._reason_to_give_up, log_tail=partial(self._trouble, name))

        with ThreadPoolExecutor(PROBES_AT_ONCE, thread_name_prefix="ready") as pool:
            list(pool.map(wait, places))

    def _trouble(self, instance: str) -> str:
        """What the swarm says of a task that does not come up."""
        seat = self._view.seat(instance)
        if seat.task is None:
            return "the swarm has not made a task for it"
        node = self._node_of(seat.task)
        return f"its task is {seat.task.state} on {node.name if node is not None else 'no node'}. {seat.task.error}"

    # --- instances

    def _instance(self, service: str, number: int) -> Instance:
        name = instance_name(service, number)
        seat = self._view.seat(name)
        return Instance(service, name, self._url(service, seat), self._options.version)

    def _url(self, service: str, seat: Seat) -> str:
        engine = ENGINES.get(service)
        if engine is not None:
            return self._passwords.url(service, seat.host, seat.port(engine.port))
        return f"http://{seat.host}:{seat.port(HTTP_PORT)}"

    def _described(self, instance: str) -> Instance:
        """Raises StackError for one that is not declared."""
        service = instance.rpartition("-")[0]
        found = self.instances(service) if service in self._replicas else ()
        for described in found:
            if described.name == instance:
                return described
        raise StackError(f"no instance {instance!r}; there are {', '.join(self._view.seats()) or 'none yet'}")

    def _to_container(self, instance: str, verb: str, query: Mapping[str, Any]) -> None:
        """Raises StackError where it has none; EngineError with status 0 where its node does not answer."""
        self._described(instance)
        seat = self._view.seat(instance)
        node = self._node_of(seat.task)
        if seat.task is None or node is None or seat.task.container is None:
            raise StackError(f"{instance} does not run: {self._trouble(instance)}")
        node.api.call("POST", f"/containers/{seat.task.container}/{verb}", query=query, accept=_ENDED)

    def _node_of(self, task: Task | None) -> Node | None:
        return self._nodes.of_id(task.node_id) if task is not None and task.node_id is not None else None

    def _replaced(self, instance: Instance, by_other_than: str | None) -> str | None:
        """None once a task serves in its place, other than that one."""
        seat = self._view.seat(instance.name)
        if seat.task is None or not seat.filled or seat.task.id == by_other_than:
            return "the swarm has no other task running for it"
        return self.probe(replace(instance, url=self._url(instance.service, seat)))

    def _note(self) -> None:
        """Tell whoever watches where everything is, and collect the logs of what is new."""
        with self._noting:
            for name, seat in self._view.seats().items():
                service = name.rpartition("-")[0]
                self._note_one(service, self._topology.services[service].in_registry, name, seat)

    def _note_one(self, service: str, in_registry: bool, name: str, seat: Seat) -> None:
        declared = int(name.rpartition("-")[2]) <= self._replicas[service]
        if in_registry and declared:
            self._registry.put(service, name, self._url(service, seat))
        elif in_registry:
            self._registry.withdraw(service, name)
        if seat.filled and seat.task is not None and seat.node is not None and seat.task.container is not None:
            self._logs.follow(name, seat.task.container, seat.node.api)

    @property
    def _engines(self) -> list[str]:
        """Of managers first."""
        return [node.engine for node in sorted(self._nodes.all(), key=lambda node: not node.manager)]

    def _reason_to_give_up(self) -> str | None:
        return "the stack is being stopped" if self._given_up.is_set() else None
