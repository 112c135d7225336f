"""A system that runs already: it is loaded and watched, and touched only by the commands and mocks that the scenario names."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal

from harness.scenario.catalog import StackInfo
from harness.scenario.model import Actuator, StackSpec
from harness.scenario.services import MOCK_TOKEN
from harness.stack import http_probe, postgres, valkey
from harness.stack.base import AdminApi, Instance, StackError
from harness.stack.catalog import external_info
from harness.stack.commands import run_named
from harness.stack.ready import wait_ready

READY_DEADLINE_S = 30.0
ENTRY = "gateway"


class ExternalStack:
    """`Stack` without any capability; `ActuatedStack` has those for which commands, or mocks, are named.

    The load goes to the service `gateway`, else to the first that is named.
    """

    def __init__(self, spec: StackSpec) -> None:
        """Raises ValueError for a specification without services."""
        self._info = external_info(spec)
        self._spec = spec

    @property
    def info(self) -> StackInfo:
        return self._info

    @property
    def entry_url(self) -> str:
        services = self._spec.by_url
        return services.get(ENTRY, next(iter(services.values()))).url.rstrip("/")

    @property
    def api_key(self) -> str | None:
        """None: a journey carries the headers that its service wants."""
        return None

    def start(self) -> None:
        """Wait until every service answers."""
        for service in self._spec.by_url:
            (instance,) = self.instances(service)
            wait_ready(f"{service} ({instance.url})", partial(self.probe, instance), READY_DEADLINE_S)

    def stop(self) -> None:
        """Nothing: what runs belongs to others."""

    def instances(self, service: str) -> Sequence[Instance]:
        if service not in self._spec.by_url:
            raise StackError(f"no service {service!r}; there are {', '.join(self._spec.by_url)}")
        return [Instance(service, service, self._spec.by_url[service].url.rstrip("/"), version="")]

    def probe(self, instance: Instance) -> str | None:
        """By the service's `health` where it has one, which must say 200; else by its role: any HTTP answer below 500, or a first word."""
        service = self._spec.by_url[instance.service]
        health = service.health
        if health is None and service.role == "postgres":
            return postgres.probe(instance.url)
        if health is None and service.role == "redis":
            return valkey.probe(instance.url)
        return http_probe.answers(health) if health is not None else http_probe.reachable(instance.url)

    def targets(self) -> Mapping[str, Any]:
        """As of the reference stack; the addresses are all `static`, with the metrics and health that were declared."""
        services = self._spec.by_url
        return {
            "services": {
                name: {"kind": s.role, "critical": True, "metrics": s.metrics, "health": s.health} for name, s in services.items()
            },
            "registry": None,
            "static": {name: [service.url.rstrip("/")] for name, service in services.items()},
            "edges": [list(edge) for edge in self._spec.edges],
        }


class ActuatedStack(ExternalStack):
    """An external stack some of whose services name commands, or are mocks. A verb without one is a StackError that says so."""

    def start(self) -> None:
        """Wait until every service answers; a mock whose token is not given is found out before."""
        for name in sorted(self.info.programmable):
            self.admin(name)
        super().start()

    def admin(self, service: str) -> AdminApi:
        described = self._spec.by_url.get(service)
        if described is None or described.admin is None:
            raise StackError(f"{service} has no admin API: name that of its mock as `admin`")
        token = os.environ.get(MOCK_TOKEN)
        if not token:
            raise StackError(f"{MOCK_TOKEN} is not set: the token of {described.admin}; start the mock with the same variable")
        return AdminApi(described.admin.rstrip("/").removesuffix("/admin"), token)

    def kill(self, instance: str) -> None:
        self._run(instance, "kill")

    def stop_instance(self, instance: str, grace_s: float) -> None:  # noqa: ARG002 - how long it may take is the command's affair
        self._run(instance, "stop")

    def restart(self, instance: str) -> None:
        self._run(instance, "restart")
        (described,) = self.instances(instance)
        wait_ready(instance, partial(self.probe, described), READY_DEADLINE_S)

    def set_paused(self, instance: str, paused: bool) -> None:
        self._run(instance, "pause" if paused else "resume")

    def scale(self, service: str, replicas: int) -> None:
        self._run(service, "scale", replicas=str(replicas))

    def deploy(self, service: str, version: str) -> str:
        """The version before is not known here."""
        self._run(service, "deploy", version=version)
        return ""

    def restoring_command(self, instance: str, verb: Literal["kill", "stop", "pause"]) -> Sequence[str]:
        return self._command(instance, "resume" if verb == "pause" else "restart")

    def _command(self, instance: str, verb: Actuator, **values: str) -> list[str]:
        service = self._spec.by_url.get(instance)
        argv = service.actuators.get(verb) if service is not None else None
        if argv is None:
            raise StackError(f"{instance} names no command for {verb}: add it to its `actuators`")
        for name, value in values.items():
            argv = [part.replace(f"{{{name}}}", value) for part in argv]
        return argv

    def _run(self, instance: str, verb: Actuator, **values: str) -> None:
        run_named(f"{verb} of {instance}", self._command(instance, verb, **values))
