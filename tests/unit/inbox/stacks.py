"""Stacks in memory: one that can do everything, one that can do nothing."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from harness.scenario.catalog import StackInfo
from harness.stack.base import Instance, StackError

SERVICES = {"gateway": 1, "retrieval": 2, "generation": 2, "llm": 1, "llm_fallback": 1}


class BareStack:
    """Has services and no capability."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.not_ready: set[str] = set()
        self.release = threading.Event()  # actions wait for it
        self.release.set()

    info = StackInfo("bare", SERVICES, frozenset(), frozenset(), frozenset())
    entry_url = "http://127.0.0.1:1"
    api_key = None

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def instances(self, service: str) -> Sequence[Instance]:
        return [Instance(service, f"{service}-{n + 1}", "http://127.0.0.1:1", "1.0.0") for n in range(SERVICES[service])]

    def probe(self, instance: Instance) -> str | None:
        return "not ready" if instance.name in self.not_ready else None

    def targets(self) -> Mapping[str, Any]:
        return {}

    def did(self, *call: Any) -> None:
        assert self.release.wait(60)
        self.calls.append(call)


class AbleStack(BareStack):
    """Notes what it was asked to do."""

    def __init__(self) -> None:
        super().__init__()
        self.settings: dict[str, Any] = {"llm_provider": "llm", "pool_epoch": 0, "shed_ratio": 0.0}

    def restart(self, instance: str) -> None:
        if instance == "gateway-1":
            raise StackError("gateway-1 did not become ready")
        self.did("restart", instance)

    def scale(self, service: str, replicas: int) -> None:
        self.did("scale", service, replicas)

    def set_in_rotation(self, instance: str, in_rotation: bool) -> None:
        self.did("rotation", instance, in_rotation)

    def configure(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        self.did("configure", dict(settings))
        before = {key: self.settings[key] for key in settings}
        self.settings.update(settings)
        return before

    def clear_cache(self) -> None:
        self.did("clear_cache")

    def deploy(self, service: str, version: str) -> str:
        self.did("deploy", service, version)
        return "1.1.0"
