"""What a stack is. Its capabilities are in `capabilities.py`, what both speak of in `parts.py`; all of them are names of this module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from harness.scenario.catalog import StackInfo
from harness.stack.capabilities import CAPABILITIES as CAPABILITIES
from harness.stack.capabilities import CacheClearable as CacheClearable
from harness.stack.capabilities import Certified as Certified
from harness.stack.capabilities import Clocked as Clocked
from harness.stack.capabilities import Configurable as Configurable
from harness.stack.capabilities import Credentialed as Credentialed
from harness.stack.capabilities import DiskLimitable as DiskLimitable
from harness.stack.capabilities import Documented as Documented
from harness.stack.capabilities import Environed as Environed
from harness.stack.capabilities import Killable as Killable
from harness.stack.capabilities import Limitable as Limitable
from harness.stack.capabilities import Logged as Logged
from harness.stack.capabilities import Meshed as Meshed
from harness.stack.capabilities import Named as Named
from harness.stack.capabilities import Networked as Networked
from harness.stack.capabilities import Observable as Observable
from harness.stack.capabilities import Pausable as Pausable
from harness.stack.capabilities import Placed as Placed
from harness.stack.capabilities import Programmable as Programmable
from harness.stack.capabilities import Proxied as Proxied
from harness.stack.capabilities import Restartable as Restartable
from harness.stack.capabilities import Rollbackable as Rollbackable
from harness.stack.capabilities import Routable as Routable
from harness.stack.capabilities import Scalable as Scalable
from harness.stack.capabilities import Stoppable as Stoppable
from harness.stack.capabilities import Stressable as Stressable
from harness.stack.capabilities import Volumed as Volumed
from harness.stack.capabilities import Wrapped as Wrapped
from harness.stack.capabilities import capabilities_of as capabilities_of
from harness.stack.hosts import HostDrainable as HostDrainable
from harness.stack.hosts import Hosted as Hosted
from harness.stack.hosts import HostKillable as HostKillable
from harness.stack.hosts import HostLook as HostLook
from harness.stack.hosts import HostPartitionable as HostPartitionable
from harness.stack.hosts import HostPausable as HostPausable
from harness.stack.hosts import HostRestoring as HostRestoring
from harness.stack.hosts import HostVerb as HostVerb
from harness.stack.hosts import HostWatched as HostWatched
from harness.stack.hosts import Spreadable as Spreadable
from harness.stack.parts import AdminApi as AdminApi
from harness.stack.parts import DocumentsAt as DocumentsAt
from harness.stack.parts import Front as Front
from harness.stack.parts import Instance as Instance
from harness.stack.parts import Limits as Limits
from harness.stack.parts import Mesh as Mesh
from harness.stack.parts import Names as Names
from harness.stack.parts import Place as Place
from harness.stack.parts import PointsAt as PointsAt
from harness.stack.parts import StackError as StackError
from harness.stack.parts import Stress as Stress


@runtime_checkable
class Stack(Protocol):
    """The life of a system under test. Methods may be called from several threads."""

    @property
    def info(self) -> StackInfo:
        """Known before `start`."""
        ...

    @property
    def entry_url(self) -> str:
        """Base URL of the service that users ask, which the load is sent to unless the stack has a front."""
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
class Outliving(Protocol):
    """A stack that goes on after the run: what was done to it is not undone by its end."""

    def restoring_command(self, instance: str, verb: Literal["kill", "stop", "pause"]) -> Sequence[str]:
        """The argv that brings an instance back after that verb, without us. Raises StackError."""
        ...


@runtime_checkable
class Fronted(Protocol):
    """A stack that can have something in front of its entry, by which users come in."""

    @property
    def front(self) -> Front | None:
        """None where users go to the entry itself. From `start` to `stop`."""
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
