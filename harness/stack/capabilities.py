"""The capabilities that a stack may have, one method each. They are the only actuators: faults, recovery actions and deploy strategies all
go through them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from harness.stack.hosts import HostDrainable, Hosted, HostKillable, HostPartitionable, HostPausable, HostWatched, Spreadable
from harness.stack.parts import AdminApi, DocumentsAt, Limits, Mesh, Names, Place, Stress


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
class Stoppable(Protocol):
    def stop_instance(self, instance: str, grace_s: float) -> None:
        """Ask it to end (SIGTERM), kill what is left of it after `grace_s`; it stays down. Raises StackError."""
        ...


@runtime_checkable
class Placed(Protocol):
    def place(self, instance: str) -> Place:
        """Where it runs. Raises StackError when it does not."""
        ...


@runtime_checkable
class Environed(Protocol):
    def set_environment(self, instance: str, variables: Mapping[str, str]) -> None:
        """Add these to the environment of its next starts, until a deploy replaces its build; empty: as declared."""
        ...


@runtime_checkable
class Observable(Protocol):
    def set_telemetry(self, instance: str, telemetry: Mapping[str, str]) -> None:
        """How an instance can be observed: `metrics` is serve, hang, stale or error, `logs` is write or lose; empty: as ever."""
        ...


@runtime_checkable
class Logged(Protocol):
    def log_path(self, instance: str) -> Path:
        """The file that its log is collected in, as this machine sees it."""
        ...


@runtime_checkable
class Clocked(Protocol):
    def set_clock(self, instance: str, offset_s: float, rate: float) -> None:
        """Let its wall clock differ from now on; (0, 1) is the true time. Its monotonic clock is left alone. Restarts it where it must.

        Raises StackError.
        """
        ...


@runtime_checkable
class Credentialed(Protocol):
    def rotate_credential(self, credential: str, rotated: bool) -> None:
        """Let who checks a credential (`api_key`: the load's, `jwt_secret`: of tokens) want another one, or the declared one again.

        Whoever uses it is not told. Raises StackError.
        """
        ...


@runtime_checkable
class Certified(Protocol):
    def set_certificate(self, service: str, expired: bool) -> None:
        """Let what ends TLS serve, from its next handshakes on, a certificate that has expired, or its own again, without a restart.

        Raises StackError.
        """
        ...


@runtime_checkable
class Limitable(Protocol):
    def limit(self, instance: str, limits: Limits) -> Limits:
        """Bound what the whole instance may use, at once and for its next starts; returns the limits it had. Raises StackError."""
        ...


@runtime_checkable
class Stressable(Protocol):
    def stress(self, instance: str, script: Path, arguments: Sequence[str]) -> Stress:
        """Run a Python script (standard library only) beside the instance, within its limits and as its user. Raises StackError."""
        ...


@runtime_checkable
class Wrapped(Protocol):
    def set_wrapper(self, instance: str, script: Path | None, arguments: Sequence[str]) -> None:
        """Start it, from its next start on, under a Python script (standard library only), which gets these arguments, `--` and the
        declared command; None: as declared.
        """
        ...


@runtime_checkable
class Named(Protocol):
    def names(self, caller: str, callee: str) -> Names:
        """How that caller finds the callee. Raises StackError for a callee whose address it was given when it started."""
        ...


@runtime_checkable
class DiskLimitable(Protocol):
    def limit_disk(self, instance: str, bytes_per_s: int | None) -> None:
        """Bound what the instance writes to its disk, at once and for its next starts; None: any. Raises StackError."""
        ...


@runtime_checkable
class Volumed(Protocol):
    def volume(self, instance: str) -> Path:
        """The folder of its data, a small file system of its own. Raises StackError where the stack was started without one there."""
        ...


@runtime_checkable
class Documented(Protocol):
    def documents(self) -> DocumentsAt:
        """Where the documents taken in are, and all that is made of them. Raises StackError where some of it cannot be reached."""
        ...


@runtime_checkable
class Networked(Protocol):
    def run_in_network(self, instance: str, argv: Sequence[str]) -> str:
        """Run a network tool (`iptables`, `ip6tables`, `tc`, `ip`, `ss`), or `python3` or `sh` with a script, in the instance's own network
        namespace, with the rights to change it; returns its output. Raises StackError with what it printed when it fails.
        """
        ...


@runtime_checkable
class Meshed(Protocol):
    def mesh(self) -> Mesh:
        """What Chaos Mesh can do to the instances. Raises StackError where it is not installed."""
        ...


CAPABILITIES: Mapping[str, type] = {
    protocol.__name__: protocol
    for protocol in (
        Killable, Restartable, Pausable, Scalable, Routable, Proxied, Programmable, Configurable, CacheClearable, Rollbackable,
        Stoppable, Placed, Environed, Limitable, DiskLimitable, Stressable, Wrapped, Volumed, Named, Networked, Observable,
        Logged, Clocked, Credentialed, Certified, Documented, Meshed, Hosted, HostWatched, Spreadable,
        HostKillable, HostPausable, HostPartitionable, HostDrainable,
    )
}  # fmt: skip


def capabilities_of(stack: object) -> frozenset[str]:
    """Names of the capability protocols that an object (or class) satisfies."""
    return frozenset(name for name, protocol in CAPABILITIES.items() if _satisfies(stack, protocol))


def _satisfies(stack: object, protocol: type) -> bool:
    methods = [name for name in vars(protocol) if not name.startswith("_")]
    return all(callable(getattr(stack, name, None)) for name in methods)
