"""The reference RAG stack, whatever runs its instances: its life, its start in steps, its service discovery, and most capabilities."""

from __future__ import annotations

import shutil
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from harness.record.clock import NS_PER_S, Clock, SystemClock
from harness.scenario.catalog import StackInfo
from harness.stack import data
from harness.stack.base import AdminApi, DocumentsAt, Instance, Names, PointsAt, StackError
from harness.stack.conditions import Conditions
from harness.stack.credentials import Credentials
from harness.stack.environment import Environments
from harness.stack.options import StackOptions
from harness.stack.registry import NOTICE_S, CallersNames, RegistryFile
from harness.stack.rollout import Rollout, Roster
from harness.stack.start_order import Step, run_steps
from harness.stack.supervise import Launch, Member
from harness.stack.topology import COLLECTION, MIGRATION, PROVIDERS, SNAPSHOTS, VECTOR, instance_name, topology
from harness.sweep import end_processes, processes_in

STARTS_AT_ONCE = 4
STOP_DEADLINE_S = 5.0
_CORPUS = "corpus"


class Deployment(Launch, Protocol):
    """How the members of one driver come up, and where the admin APIs of its mocks are."""

    def admin_url(self, service: str) -> str | None:
        """Of a mock that was started; None for any other service."""
        ...


class Proxies(Protocol):
    """Those of one driver, on the edges that were asked for."""

    def admin(self, caller: str, callee: str) -> AdminApi:
        """Control of the proxy on an edge. Raises StackError where there is none."""
        ...

    def stop(self) -> None:
        """End all; harmless when they are gone. Raises StackError."""
        ...


class ReferenceStack(Conditions, ABC):
    """`Stack` with what every driver of the reference stack can do. A stopped one cannot be started again."""

    _launcher: Deployment
    _proxies: Proxies

    def __init__(self, options: StackOptions, info: StackInfo, clock: Clock | None) -> None:
        """Check the options; nothing is started. A driver sets `_launcher` and `_proxies` besides. Raises ValueError."""
        unknown = sorted(options.proxied_edges - info.proxyable)
        if unknown:
            raise ValueError(f"no proxy can be put on {', '.join('->'.join(edge) for edge in unknown)}")
        self._topology = topology(options.vector_store, options.tls)
        self._info = info
        self._options = options
        self._clock = clock or SystemClock()
        self._credentials = Credentials.fresh(options.api_key)
        self._given_up = threading.Event()
        self._stopping = threading.Lock()
        self._roster = Roster(self._topology)
        self._registry = RegistryFile(options.work_dir)
        self._environments = Environments(options, self._topology, self._credentials, self._registry, self._engine_url, self._hand_over)
        self._rollout = Rollout(self._topology, self._roster, self._registry, self._new_member, self._clock)

    # --- what a driver adds to the start and the end

    @abstractmethod
    def _lay_out(self) -> Mapping[str, str]:
        """Make what the members need before any is described; returns the versions of the engines. Raises StackError."""

    @abstractmethod
    def _hand_over(self, path: Path) -> None:
        """Make a private file belong to who services run as."""

    @abstractmethod
    def _prepare_engine(self, service: str) -> None:
        """Make the data of an engine, once, before its first start. Raises StackError."""

    @abstractmethod
    def _engine_url(self, caller: str, engine: str) -> str:
        """Where that caller finds the engine."""

    @abstractmethod
    def _start_proxy(self, caller: str, callee: str) -> None:
        """Put a proxy on the edge. Raises StackError."""

    @abstractmethod
    def _clear_away(self) -> Sequence[str]:
        """Remove what the members left; harmless when there is nothing. Returns what could not be removed."""

    # --- Stack

    @property
    def info(self) -> StackInfo:
        return self._info

    @property
    def entry_url(self) -> str:
        return self._roster.get("gateway-1").url

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
    def limited_key(self) -> str:
        """Credential of a client whose requests are limited, as those of the load are not."""
        return self._credentials.limited_key

    @property
    def signing_key(self) -> str:
        """What the gateway signs tokens with, from its start on: whoever has it can make one that is wrong in a single way."""
        return self._credentials.jwt_secret

    @property
    def corpus_path(self) -> Path:
        """`corpus.jsonl`, from `start` to `stop`."""
        return data.corpus_path(self._options)

    @property
    def questions_path(self) -> Path:
        """`questions.jsonl`, from `start` to `stop`."""
        return data.questions_path(self._options)

    def documents(self) -> DocumentsAt:
        dsn = self._roster.get("postgres-1").url
        if VECTOR not in self._topology.services:
            return DocumentsAt(dsn)
        return DocumentsAt(dsn, PointsAt(self._options.vector_store, self._roster.get(instance_name(VECTOR, 1)).url, COLLECTION))

    def start(self) -> None:
        try:
            self._prepare()
            run_steps(self._steps(), STARTS_AT_ONCE, self._given_up.set)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Raises StackError only when something cannot be ended."""
        self._given_up.set()
        with self._stopping:
            engines = [member for member in self._roster.all() if not self._is_service(member)]
            self._stop_all([member for member in self._roster.all() if self._is_service(member)])
            self._proxies.stop()
            self._stop_all(engines)
            left = [f"{found.name} ({found.pid})" for found in end_processes(processes_in(self._options.work_dir))]
            left.extend(self._clear_away())
            shutil.rmtree(self._options.work_dir, ignore_errors=True)
        if left:
            raise StackError(f"survive SIGKILL: {', '.join(left)}")

    def instances(self, service: str) -> Sequence[Instance]:
        return [member.describe() for member in self._roster.of(service)]

    def probe(self, instance: Instance) -> str | None:
        return self._roster.get(instance.name).probe()

    def targets(self) -> Mapping[str, Any]:
        return self._topology.targets(self._registry.path, lambda service: [member.url for member in self._roster.of(service)])

    # --- capabilities; a driver has more

    def kill(self, instance: str) -> None:
        self._roster.get(instance).kill()

    def stop_instance(self, instance: str, grace_s: float) -> None:
        self._roster.get(instance).stop(grace_s)

    def restart(self, instance: str) -> None:
        self._rollout.restart(self._roster.get(instance))

    def set_paused(self, instance: str, paused: bool) -> None:
        self._roster.get(instance).set_paused(paused)

    def scale(self, service: str, replicas: int) -> None:
        self._rollout.scale(service, replicas)

    def set_in_rotation(self, instance: str, in_rotation: bool) -> None:
        member = self._roster.get(instance)
        if not self._in_registry(member.service):
            raise StackError(f"{instance} cannot be taken out of rotation: its callers know its address")
        if in_rotation:
            member.publish(self._registry)
        else:
            self._registry.withdraw(member.service, member.name)

    def proxy(self, caller: str, callee: str) -> AdminApi:
        return self._proxies.admin(caller, callee)

    def names(self, caller: str, callee: str) -> Names:
        if (caller, callee) not in self._topology.edges or not self._in_registry(callee):
            raise StackError(f"{caller} does not look {callee} up")
        return CallersNames(self._registry, caller, callee)

    def admin(self, service: str) -> AdminApi:
        """Of a mock. Raises StackError for any other service."""
        url = self._launcher.admin_url(service)
        if url is None:
            raise StackError(f"{service} has no admin API; {' and '.join(self._topology.programmable)} have")
        return AdminApi(url, self._credentials.admin_token)

    def configure(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._registry.configure(settings)

    def clear_cache(self) -> None:
        """A new epoch: in-process caches are emptied, entries of the shared one are out of reach and expire by themselves."""
        self._registry.increase("cache_epoch")
        self._clock.sleep(NOTICE_S)

    # --- the start

    def _prepare(self) -> None:
        """Lay everything out: every instance has its address, and service discovery knows it, before any starts."""
        options = self._options
        options.work_dir.mkdir(parents=True)
        options.work_dir.chmod(0o711)  # other users that instances run as must be able to pass through
        engine_versions = self._lay_out()
        self._environments.prepare()
        for service, replicas in self._info.services.items():
            for number in range(1, replicas + 1):
                member = self._new_member(service, instance_name(service, number), engine_versions.get(service, options.version))
                self._roster.put(member)
                self._publish(member)

    def _steps(self) -> list[Step]:
        filling = [
            Step(_CORPUS, self._make_corpus),
            Step(MIGRATION, self._migrate, after=(_CORPUS, *self._stores())),
        ]
        proxies = [
            Step(_proxy_step(caller, callee), partial(self._start_proxy, caller, callee), self._awaited_by_proxy(callee))
            for caller, callee in sorted(self._options.proxied_edges)
        ]
        members = [Step(member.name, partial(self._start_member, member), self._awaited(member.service)) for member in self._roster.all()]
        return [*filling, *proxies, *members]

    def _awaited(self, service: str) -> tuple[str, ...]:
        names = [name for step in self._topology.services[service].after for name in ((step,) if step == MIGRATION else self._names(step))]
        return (*names, *(_proxy_step(*edge) for edge in self._options.proxied_edges if edge[0] == service))

    def _awaited_by_proxy(self, callee: str) -> tuple[str, ...]:
        """An engine, for the port that it gets; an instance that is looked up is followed to wherever it moves."""
        return () if self._in_registry(callee) else self._names(callee)

    def _stores(self) -> tuple[str, ...]:
        """What the migration fills."""
        return tuple(name for service in ("postgres", VECTOR) if service in self._topology.services for name in self._names(service))

    def _names(self, service: str) -> tuple[str, ...]:
        return tuple(member.name for member in self._roster.of(service))

    def _start_member(self, member: Member) -> None:
        if not self._in_registry(member.service):
            self._prepare_engine(member.service)
        member.start_first()
        self._publish(member)  # again, for it may have had to take another port

    def _publish(self, member: Member) -> None:
        if self._in_registry(member.service):
            member.publish(self._registry)

    def _make_corpus(self) -> None:
        data.make_corpus(self._options, self._reason_to_give_up)

    def _migrate(self) -> None:
        data.migrate(self._options, self._roster.get("postgres-1").url, self._registry.path, self._reason_to_give_up)

    def _new_member(self, service: str, name: str, version: str) -> Member:
        return Member(service, name, version, self._launcher, self._reason_to_give_up)

    def _stop_all(self, members: Sequence[Member]) -> None:
        """All at once; what has not ended by STOP_DEADLINE_S is killed."""
        for member in members:
            member.retire()
        end_ns = self._clock.now_ns() + int(STOP_DEADLINE_S * NS_PER_S)
        for member in members:
            member.stop(max(0.0, (end_ns - self._clock.now_ns()) / NS_PER_S))

    def _in_registry(self, service: str) -> bool:
        return self._topology.services[service].in_registry

    def _is_service(self, member: Member) -> bool:
        return self._topology.services[member.service].kind == "http"

    def _reason_to_give_up(self) -> str | None:
        return "the stack is being stopped" if self._given_up.is_set() else None


def _proxy_step(caller: str, callee: str) -> str:
    return f"proxy {caller}->{callee}"
