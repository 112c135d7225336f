"""What a fault is. A new one is one small class in its family's file and one line in `registry.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar, Protocol

from harness.record.clock import Clock
from harness.scenario.catalog import FaultParameters, FaultSpec
from harness.stack.base import Stack

Evidence = Mapping[str, Any]


class FaultError(RuntimeError):
    """A step could not be done: the message says what and why."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a fault goes. For an edge, `service` is the callee."""

    service: str
    instance: str | None = None
    edge: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """All that a fault may use."""

    stack: Stack
    clock: Clock
    random: Random


@dataclass(frozen=True, slots=True)
class Undo:
    """How to take a fault back without the harness: written to the lease before the fault is injected.

    `op` is one of `continue` (pid, create_time), `terminate` (pid, create_time), `http` (method, url, token), `rmtree` (path).
    """

    op: str
    args: Mapping[str, Any]


class Fault(Protocol):
    """One injected fault. The schedule calls the verbs in this order; `heal` and `gone` also after a failed `inject`."""

    spec: ClassVar[FaultSpec]

    def __init__(self, target: Target, parameters: FaultParameters, context: Context) -> None: ...

    def undo(self) -> Sequence[Undo]:
        """What the watchdog must do if the harness dies; asked before `inject`."""
        ...

    def inject(self) -> None:
        """Break it. Raises FaultError."""
        ...

    def verify(self) -> Evidence | None:
        """One independent look: evidence that it bites, or None while there is none yet. Polled, so it must be quick."""
        ...

    def heal(self) -> None:
        """Take it back; idempotent, also without `inject`. Raises FaultError."""
        ...

    def gone(self) -> Evidence | None:
        """One independent look: evidence that nothing of it is left, or None while something is."""
        ...
