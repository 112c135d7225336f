"""Capabilities of stacks that are spread over several machines: what can happen to one of those, one method each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from harness.stack.parts import Instance

HostVerb = Literal["kill", "pause", "cut", "drain"]


@dataclass(frozen=True, slots=True)
class HostLook:
    """One look at a host, from two sides. `silent`: why it does not answer us over the network; None: it does.

    `state` (ready, down …) and `availability` (active, drain …) are what the managers say of it; None where none of them can be asked.
    """

    silent: str | None
    state: str | None
    availability: str | None


@runtime_checkable
class Hosted(Protocol):
    def instances_on(self, host: str) -> Sequence[Instance]:
        """The instances that were placed there last. Answers at once. Raises StackError for an unknown host."""
        ...


@runtime_checkable
class HostWatched(Protocol):
    def look_at_host(self, host: str) -> HostLook:
        """How it is at the moment; bounded to a few seconds. Raises StackError for an unknown one."""
        ...


@runtime_checkable
class Spreadable(Protocol):
    def spread(self) -> bool:
        """Place replicas on every host that can take some, where one has none: a host that was lost gets nothing back by itself.

        True when anything was moved; all is ready again then. Raises StackError.
        """
        ...


@runtime_checkable
class HostKillable(Protocol):
    def set_host_killed(self, host: str, killed: bool) -> None:
        """Take its power, or give it back. Both are harmless where it is so already. Raises StackError."""
        ...


@runtime_checkable
class HostPausable(Protocol):
    def set_host_paused(self, host: str, paused: bool) -> None:
        """Let everything on it stand still, or go on. Raises StackError."""
        ...


@runtime_checkable
class HostPartitionable(Protocol):
    def set_host_cut(self, host: str, cut: bool) -> None:
        """Cut it off the network, or connect it again. Raises StackError."""
        ...


@runtime_checkable
class HostDrainable(Protocol):
    def set_host_drained(self, host: str, drained: bool) -> None:
        """Have everything moved off it in order, or let it take part again. Raises StackError."""
        ...


@runtime_checkable
class HostRestoring(Protocol):
    def restoring_host_command(self, host: str, verb: HostVerb) -> Sequence[str]:
        """The argv that undoes that verb without us. Raises StackError."""
        ...
