"""What a fault is. A new one is one small class in its family's file and one line in `registry.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Generic, Literal, Protocol, TypeVar, cast

from harness.record.clock import Clock
from harness.scenario.catalog import FaultParameters, FaultSpec
from harness.stack.base import Instance, Stack, StackError

Evidence = Mapping[str, Any]
Parameters = TypeVar("Parameters", bound=FaultParameters)
Capability = TypeVar("Capability")


class FaultError(RuntimeError):
    """A step could not be done: the message says what and why."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a fault goes. For an edge, `service` is the callee; for a host, its name."""

    service: str
    instance: str | None = None
    edge: tuple[str, str] | None = None

    @property
    def text(self) -> str:
        """As a scenario writes it."""
        return "->".join(self.edge) if self.edge else self.instance or self.service


class AlertWebhook(Protocol):
    """Where the run receives the alerts of whoever is on call."""

    @property
    def alerts_url(self) -> str: ...

    @property
    def token(self) -> str: ...

    @property
    def alerts_refused(self) -> int:
        """Posts that were made while it was down."""
        ...

    def set_alerts_down(self, how: Literal["error", "hang"] | None) -> None:
        """Let it answer 503 or not at all, and receive nothing; None: as ever."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """All that a fault may use.

    `fault_id` names it in the tables of proxies and mocks. `ttl_s` bounds what lives in such a table: it ends by itself after that,
    should harness and watchdog both be gone. `allowed_hosts`: other hosts than this machine that may be touched. `run_id` is on all that
    the run has made on a container engine; empty where it makes nothing there. `webhook`: None where nobody is on call.
    """

    stack: Stack
    clock: Clock
    random: Random
    fault_id: str = "fault"
    ttl_s: float = 600.0
    allowed_hosts: frozenset[str] = frozenset()
    run_id: str = ""
    webhook: AlertWebhook | None = None


@dataclass(frozen=True, slots=True)
class Undo:
    """How to take a fault back without the harness: written to the lease before the fault is injected.

    `op` is one of `continue` (pid, create_time_s), `terminate` (pid, create_time_s), `terminate_named` (argument), `http` (method, url,
    token), `rmtree` (path), `command` (argv), `rules` (run_id, script), `kubernetes` (kubeconfig, context, namespace, kind, name),
    `unpause` (container), `sql` (dsn, statements, quiet_s), `redis` (url, commands, end_clients),
    `points` (product, url, collection, aside | prefix, quiet_s).
    """

    op: str
    args: Mapping[str, Any]


class Fault(Protocol):
    """One injected fault. The schedule calls the verbs in this order; `heal` and `gone` also after a failed `inject`.

    Every verb may take seconds: the schedule calls it in a thread, never two verbs of one fault at once. One exception: `heal` does not
    wait for a `verify` that is still looking when the fault's time is up.
    """

    @property
    def spec(self) -> FaultSpec:
        """Of its class."""
        ...

    @property
    def target(self) -> Target:
        """Where it goes, resolved: a fault of one instance names that instance."""
        ...

    def undo(self) -> Sequence[Undo]:
        """What the watchdog must do if the harness dies; asked before `inject`. Empty where ending the stack undoes it."""
        ...

    def inject(self) -> None:
        """Break it. Raises FaultError."""
        ...

    def verify(self) -> Evidence | None:
        """One independent look: evidence that it bites, or None while there is none yet. Polled."""
        ...

    def heal(self) -> None:
        """Take it back; idempotent, also without `inject`. Raises FaultError."""
        ...

    def gone(self) -> Evidence | None:
        """One independent look: evidence that nothing of it is left, or None while something is. Polled."""
        ...


@dataclass(frozen=True, slots=True)
class KnownFault:
    """A fault with what is true of it: the fields of its `intended` event, read by `record.views`.

    Asked when it is written: what runs on a host, and is lost with it, changes by itself.
    """

    fault: Fault
    tell: Callable[[], Mapping[str, Any]]

    @property
    def truth(self) -> Mapping[str, Any]:
        """As of now. Answers at once."""
        return self.tell()


class TargetedFault(Generic[Parameters]):
    """What the faults of the catalogue share: target, parameters, context, and nothing to undo."""

    def __init__(self, target: Target, parameters: Parameters, context: Context) -> None:
        self._target = target
        self.parameters = parameters
        self.context = context

    @property
    def target(self) -> Target:
        return self._target

    def undo(self) -> Sequence[Undo]:
        return ()


def capability(stack: object, protocol: Callable[..., Capability]) -> Capability:
    """The stack as that capability. Raises FaultError for a stack without it."""
    if not isinstance(stack, cast(type, protocol)):
        raise FaultError(
            f"{type(stack).__name__} is not {cast(type, protocol).__name__}; `gauntlet check` says which faults a stack can take"
        )
    return cast(Capability, stack)


def instance_of(stack: Stack, name: str, service: str) -> Instance:
    """The declared instance of that name. Raises FaultError when the stack has none (any more)."""
    for instance in stack.instances(service):
        if instance.name == name:
            return instance
    raise FaultError(f"{service} has no instance {name}; it has {', '.join(i.name for i in stack.instances(service)) or 'none'}")


def act(description: str, action: Callable[[], object]) -> None:
    """Perform an actuation of the stack; its StackError becomes a FaultError that says what was tried."""
    try:
        action()
    except StackError as error:
        raise FaultError(f"{description}: {error}") from error
