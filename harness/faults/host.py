"""Faults of hosts: a node of a swarm is lost with all that runs on it, or is taken out of service."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

from harness.faults.base import Context, Evidence, FaultError, Target, TargetedFault, Undo, act, capability
from harness.faults.process import NoParameters
from harness.scenario.catalog import FaultSpec
from harness.stack.base import (
    HostDrainable,
    Hosted,
    HostKillable,
    HostLook,
    HostPartitionable,
    HostPausable,
    HostRestoring,
    HostVerb,
    HostWatched,
    Instance,
    StackError,
)

ELSEWHERE = ("restart", "scale", "failover")
"""What was there is made good elsewhere."""


def instances_on(context: Context, host: str) -> Sequence[Instance]:
    """What was placed on a host last. Raises FaultError."""
    try:
        return capability(context.stack, Hosted).instances_on(host)
    except StackError as error:
        raise FaultError(str(error)) from error


class HostFault(TargetedFault[NoParameters]):
    """A fault of one host. Its victims are the instances that are there when it is injected."""

    spec: ClassVar[FaultSpec]
    verb: ClassVar[HostVerb]

    def __init__(self, target: Target, parameters: NoParameters, context: Context) -> None:
        super().__init__(target, parameters, context)
        self.host = target.service
        self._victims: Sequence[Instance] = ()
        if not self.victims():
            raise FaultError(f"nothing of the stack runs on {self.host}: a fault must never have zero targets")

    def victims(self) -> Sequence[Instance]:
        """The instances that it takes: of the injection, once there was one; else those that it would take now."""
        return self._victims or instances_on(self.context, self.host)

    def undo(self) -> Sequence[Undo]:
        """A node is no part of the run, and outlives it."""
        stack = capability(self.context.stack, HostRestoring)
        try:
            return (Undo("command", {"argv": list(stack.restoring_host_command(self.host, self.verb))}),)
        except StackError as error:
            raise FaultError(str(error)) from error

    def inject(self) -> None:
        if not self._victims:
            self._victims = tuple(self.victims())
        act(f"{self.spec.name} of {self.host}", lambda: self.apply(True))

    def heal(self) -> None:
        act(f"healing {self.host}", lambda: self.apply(False))

    def gone(self) -> Evidence | None:
        """It takes part again, and all that was on it serves, wherever it is by now."""
        look = self.look()
        if look.silent is not None or look.state != "ready" or look.availability != "active":
            return None
        names = {instance.name for instance in self._victims or instances_on(self.context, self.host)}
        waiting = self._unready([i for s in self.context.stack.info.services for i in self.context.stack.instances(s) if i.name in names])
        self._victims = self._victims if waiting else ()  # another injection has victims of its own
        return None if waiting else {"host": self.host, "state": look.state, "availability": look.availability, "ready": sorted(names)}

    @abstractmethod
    def apply(self, broken: bool) -> None:
        """Do it, or take it back; harmless where it is so already. Raises StackError or FaultError."""

    def look(self) -> HostLook:
        """Raises FaultError."""
        try:
            return capability(self.context.stack, HostWatched).look_at_host(self.host)
        except StackError as error:
            raise FaultError(str(error)) from error

    def verify(self) -> Evidence | None:
        """Nobody answers there: neither the host, nor any of the instances, where they were."""
        if not self._victims:
            return None
        look = self.look()
        reasons = self._unready(self._victims)
        if look.silent is None or len(reasons) < len(self._victims):
            return None
        return {"host": self.host, "silent": look.silent, "state": look.state, "unreachable": reasons}

    def _unready(self, instances: Sequence[Instance]) -> dict[str, str]:
        """Why, by instance; those that are ready are not among them."""
        if not instances:
            return {}
        with ThreadPoolExecutor(len(instances), thread_name_prefix="probe") as pool:
            answers = dict(zip((i.name for i in instances), pool.map(self.context.stack.probe, instances), strict=True))
        return {name: reason for name, reason in answers.items() if reason is not None}


_SILENT = (
    "neither the host nor any instance that was on it answers over the network; gone: the host answers, its managers count it as ready, "
    "and every instance that was on it serves, there or elsewhere"
)


class HostKilled(HostFault):
    """The power goes. Nothing on it says goodbye, and connections to it end in silence."""

    verb = "kill"
    spec = FaultSpec(
        name="host.killed",
        summary="Ends a node at once, with all that runs on it, as a power cut does; its disk is kept.",
        kind="crash",
        parameters=NoParameters,
        targets=("host",),
        needs=("HostKillable", "HostWatched", "Hosted"),
        evidence=_SILENT,
        example="{id: lost-node, type: host.killed, target: b, at: fault, for: 40s}",
        recoverable_by=ELSEWHERE,
    )

    def apply(self, broken: bool) -> None:
        capability(self.context.stack, HostKillable).set_host_killed(self.host, broken)


class HostPaused(HostFault):
    """A suspended virtual machine: its connections stay, and nothing answers."""

    verb = "pause"
    spec = FaultSpec(
        name="host.paused",
        summary="Stops everything on a node, its answers to the network among it, as a suspended virtual machine; it goes on later.",
        kind="hang",
        parameters=NoParameters,
        targets=("host",),
        needs=("HostPausable", "HostWatched", "Hosted"),
        evidence=_SILENT,
        example="{id: still-node, type: host.paused, target: b, at: fault, for: 40s}",
        recoverable_by=ELSEWHERE,
    )

    def apply(self, broken: bool) -> None:
        capability(self.context.stack, HostPausable).set_host_paused(self.host, broken)


class HostPartitioned(HostFault):
    """All on it works, and nobody can tell: neither its peers, nor who watches."""

    verb = "cut"
    spec = FaultSpec(
        name="host.partitioned",
        summary="Cuts a node off the network, from its peers, from users and from whoever watches; what is on it goes on running.",
        kind="network",
        parameters=NoParameters,
        targets=("host",),
        needs=("HostPartitionable", "HostWatched", "Hosted"),
        evidence=_SILENT,
        example="{id: cut-node, type: host.partitioned, target: b, at: fault, for: 40s}",
        recoverable_by=ELSEWHERE,
    )

    def apply(self, broken: bool) -> None:
        capability(self.context.stack, HostPartitionable).set_host_cut(self.host, broken)


class HostDrained(HostFault):
    """Maintenance: everything ends in order there and starts elsewhere, at once for each."""

    verb = "drain"
    spec = FaultSpec(
        name="host.drained",
        summary="Takes a node out of service, as `docker node update --availability drain` does: what runs on it starts elsewhere.",
        kind="crash",
        parameters=NoParameters,
        targets=("host",),
        needs=("HostDrainable", "HostWatched", "Hosted"),
        evidence="the managers count the node as drained, and no instance that was on it answers there any more; gone: they count it as "
        "active, and every instance that was on it serves, there or elsewhere",
        example="{id: maintenance, type: host.drained, target: b, at: fault, for: 30s}",
        recoverable_by=ELSEWHERE,
    )

    def apply(self, broken: bool) -> None:
        capability(self.context.stack, HostDrainable).set_host_drained(self.host, broken)

    def verify(self) -> Evidence | None:
        if not self._victims:
            return None
        look = self.look()
        reasons = self._unready(self._victims)  # where they were: their successors may still be starting
        if look.availability != "drain" or len(reasons) < len(self._victims):
            return None
        return {"host": self.host, "availability": look.availability, "unreachable": reasons}


FAULTS = (HostKilled, HostPartitioned, HostPaused, HostDrained)
