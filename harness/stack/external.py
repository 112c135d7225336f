"""A system that runs already: it is loaded and watched, and never touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from harness.scenario.catalog import StackInfo
from harness.scenario.model import StackSpec
from harness.stack import http_probe
from harness.stack.base import Instance, StackError
from harness.stack.catalog import external_info
from harness.stack.ready import wait_ready

READY_DEADLINE_S = 30.0
ENTRY = "gateway"


class ExternalStack:
    """`Stack` without any capability. The load goes to the service `gateway`, else to the first that is named."""

    def __init__(self, spec: StackSpec) -> None:
        """Raises ValueError for a specification without services."""
        self._info = external_info(spec)
        self._spec = spec

    @property
    def info(self) -> StackInfo:
        return self._info

    @property
    def entry_url(self) -> str:
        services = self._spec.services
        return services.get(ENTRY, next(iter(services.values()))).url.rstrip("/")

    @property
    def api_key(self) -> str | None:
        """None: a journey carries the headers that its service wants."""
        return None

    def start(self) -> None:
        """Wait until every service answers."""
        for service in self._spec.services:
            (instance,) = self.instances(service)
            wait_ready(f"{service} ({instance.url})", partial(self.probe, instance), READY_DEADLINE_S)

    def stop(self) -> None:
        """Nothing: what runs belongs to others."""

    def instances(self, service: str) -> Sequence[Instance]:
        if service not in self._spec.services:
            raise StackError(f"no service {service!r}; there are {', '.join(self._spec.services)}")
        return [Instance(service, service, self._spec.services[service].url.rstrip("/"), version="")]

    def probe(self, instance: Instance) -> str | None:
        """By the service's `health` where it has one, which must say 200; else any HTTP answer below 500 will do."""
        health = self._spec.services[instance.service].health
        return http_probe.answers(health) if health is not None else http_probe.reachable(instance.url)

    def targets(self) -> Mapping[str, Any]:
        """As of the reference stack; the addresses are all `static`, with the metrics and health that were declared."""
        services = self._spec.services
        return {
            "services": {
                name: {"kind": "http", "critical": True, "metrics": s.metrics, "health": s.health} for name, s in services.items()
            },
            "registry": None,
            "static": {name: [service.url.rstrip("/")] for name, service in services.items()},
            "edges": [list(edge) for edge in self._spec.edges],
        }
