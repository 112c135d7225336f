"""What a stack is, and the capabilities it may have. Capabilities are the only actuators: faults, recovery actions and deploy
strategies all go through them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from harness.scenario.catalog import StackInfo


class StackError(RuntimeError):
    """The stack did not start, or an actuation failed. The message carries the last error and the log tail."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One running copy of a service. `pid` is None where the stack is not made of local processes."""

    service: str
    name: str
    url: str
    version: str
    pid: int | None = None


@dataclass(frozen=True, slots=True)
class AdminApi:
    """An HTTP control interface with its bearer token: of a mock, or of a proxy."""

    url: str
    token: str


@runtime_checkable
class Stack(Protocol):
    """The life of a system under test. Methods may be called from several threads."""

    @property
    def info(self) -> StackInfo:
        """Known before `start`."""
        ...

    @property
    def entry_url(self) -> str:
        """Base URL that the load is sent to."""
        ...

    @property
    def api_key(self) -> str | None:
        """Credential for the load, if the entry wants one."""
        ...

    def start(self) -> None:
        """Start everything and wait until it is ready. Raises StackError; then nothing is left running."""
        ...

    def stop(self) -> None:
        """Stop everything this stack started; idempotent, never raises for what is already gone."""
        ...

    def instances(self, service: str) -> Sequence[Instance]:
        """The declared instances, running or not."""
        ...

    def probe(self, instance: Instance) -> str | None:
        """The harness's own readiness probe: None when ready, else the reason. Bounded to one second."""
        ...

    def targets(self) -> Mapping[str, Any]:
        """What an operator may know: endpoints, edges, service discovery. Names betray no proxy and no fault."""
        ...


@runtime_checkable
class Killable(Protocol):
    def kill(self, instance: str) -> None:
        """End the whole process tree at once (SIGKILL) and wait until it is gone."""
        ...


@runtime_checkable
class Restartable(Protocol):
    def restart(self, instance: str) -> None:
        """Bring an instance (back) up, ready and in rotation, whatever state it is in. Raises StackError."""
        ...


@runtime_checkable
class Pausable(Protocol):
    def set_paused(self, instance: str, paused: bool) -> None:
        """Freeze or thaw the whole process tree."""
        ...


@runtime_checkable
class Scalable(Protocol):
    def scale(self, service: str, replicas: int) -> None:
        """Run that many instances, each ready and in rotation. Raises StackError."""
        ...


@runtime_checkable
class Routable(Protocol):
    def set_in_rotation(self, instance: str, in_rotation: bool) -> None:
        """Take an instance out of service discovery, or put it back."""
        ...


@runtime_checkable
class Proxied(Protocol):
    def proxy(self, caller: str, callee: str) -> AdminApi:
        """Control of the proxy on an edge. Raises StackError when the stack was started without one there."""
        ...


@runtime_checkable
class Programmable(Protocol):
    def admin(self, service: str) -> AdminApi:
        """Control of a mock, invisible to the stack. Raises StackError for a service without one."""
        ...


@runtime_checkable
class Configurable(Protocol):
    def configure(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """Change run-time settings (`llm_provider`, `cache_epoch`, …); returns the previous values of those keys."""
        ...


@runtime_checkable
class CacheClearable(Protocol):
    def clear_cache(self) -> None:
        """Empty the shared cache and every in-process one. Never touches queues."""
        ...


@runtime_checkable
class Rollbackable(Protocol):
    def deploy(self, service: str, version: str) -> str:
        """Roll a service to a version, one drained instance at a time; returns the version it had."""
        ...


@runtime_checkable
class KeyedProviders(Protocol):
    """A stack whose providers want a credential on their public interface."""

    @property
    def provider_key(self) -> str: ...


@runtime_checkable
class Questioned(Protocol):
    """A stack that comes with questions whose answers are known."""

    @property
    def corpus_path(self) -> Path:
        """`corpus.jsonl`, from `start` to `stop`."""
        ...

    @property
    def questions_path(self) -> Path:
        """`questions.jsonl`, from `start` to `stop`."""
        ...

    @property
    def preferred_model(self) -> str:
        """The name in answers of the provider that the deployment prefers: by it, others tell which path served an answer."""
        ...


CAPABILITIES: Mapping[str, type] = {
    protocol.__name__: protocol
    for protocol in (
        Killable, Restartable, Pausable, Scalable, Routable, Proxied, Programmable, Configurable, CacheClearable, Rollbackable
    )
}  # fmt: skip


def capabilities_of(stack: object) -> frozenset[str]:
    """Names of the capability protocols that an object (or class) satisfies."""
    return frozenset(name for name, protocol in CAPABILITIES.items() if _satisfies(stack, protocol))


def _satisfies(stack: object, protocol: type) -> bool:
    methods = [name for name in vars(protocol) if not name.startswith("_")]
    return all(callable(getattr(stack, name, None)) for name in methods)
