"""Changes of the running stack that requests must not notice: replace, add and remove instances."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from harness.record.clock import NS_PER_S, Clock
from harness.stack import http_probe
from harness.stack.base import StackError
from harness.stack.registry import NOTICE_S, RegistryFile
from harness.stack.supervise import Member
from harness.stack.topology import Topology, instance_name

DRAIN_DEADLINE_S = 2.0
DRAIN_POLL_S = 0.05


class Roster:
    """The declared members, by name. Safe for several threads."""

    def __init__(self, topology: Topology) -> None:
        self._services = topology.services
        self._lock = threading.Lock()
        self._members: dict[str, Member] = {}

    def put(self, member: Member) -> None:
        """Add it, or put it in the place of the one of that name."""
        with self._lock:
            self._members[member.name] = member

    def remove(self, member: Member) -> None:
        with self._lock:
            del self._members[member.name]

    def get(self, name: str) -> Member:
        """Raises StackError that says which there are."""
        with self._lock:
            if name not in self._members:
                raise StackError(f"no instance {name!r}; there are {', '.join(self._members) or 'none yet'}")
            return self._members[name]

    def of(self, service: str) -> Sequence[Member]:
        """The members of a service in order of their numbers. Raises StackError for an unknown one."""
        if service not in self._services:
            raise StackError(f"no service {service!r}; there are {', '.join(self._services)}")
        with self._lock:
            found = [member for member in self._members.values() if member.service == service]
        return sorted(found, key=lambda member: int(member.name.rpartition("-")[2]))

    def all(self) -> Sequence[Member]:
        with self._lock:
            return list(self._members.values())


class Rollout:
    """Moves members in and out of service discovery and replaces them. One change at a time."""

    def __init__(
        self, topology: Topology, roster: Roster, registry: RegistryFile, new_member: Callable[[str, str, str], Member], clock: Clock
    ) -> None:
        """`new_member` takes service, name and version."""
        self._topology = topology
        self._roster = roster
        self._registry = registry
        self._new_member = new_member
        self._clock = clock
        self._one_at_a_time = threading.Lock()

    def restart(self, member: Member) -> None:
        """Bring it back up, ready and in rotation; a working one with peers is drained first.

        Raises StackError; one that runs without being ready is in rotation nevertheless: its callers probe it and decide.
        """
        with self._one_at_a_time:
            if self._has_peers(member) and member.running and member.probe() is None:
                self.drain(member)
            try:
                member.restart()
            finally:
                if self._topology.services[member.service].in_registry and member.running:
                    member.publish(self._registry)

    def scale(self, service: str, replicas: int) -> None:
        """Run that many instances: new ones join when ready, the last ones leave when drained. Raises StackError."""
        try:
            self._topology.check_replicas(service, replicas)
        except ValueError as error:
            raise StackError(str(error)) from error
        with self._one_at_a_time:
            present = self._roster.of(service)
            for number in range(len(present) + 1, replicas + 1):
                self._join(self._new_member(service, instance_name(service, number), present[0].version))
            for member in reversed(present[replicas:]):
                self.drain(member)
                member.stop()
                self._roster.remove(member)

    def deploy(self, service: str, version: str) -> str:
        """Replace one instance after the other; returns the version there was. Raises StackError; then the rest stays as it was."""
        described = self._topology.services[service]
        if described.kind != "http":
            raise StackError(f"{service} is not deployed from here: it has no version of ours")
        with self._one_at_a_time:
            members = self._roster.of(service)
            before = members[0].version
            for member in members:
                if described.single:
                    _replace_in_place(member, version)
                else:
                    self._replace(member, version)
        return before

    def drain(self, member: Member) -> None:
        """Take it out of rotation and wait until its callers have noticed and it has finished what it worked on, at most 2 s more."""
        self._registry.withdraw(member.service, member.name)
        self._clock.sleep(NOTICE_S)
        end_ns = self._clock.now_ns() + int(DRAIN_DEADLINE_S * NS_PER_S)
        while self._clock.now_ns() < end_ns and (http_probe.requests_in_progress(member.url) or 0) > 0:
            self._clock.sleep(DRAIN_POLL_S)

    def _replace(self, old: Member, version: str) -> None:
        """The new process is up, on a port of its own, before the old one leaves: there is never less capacity than declared."""
        new = self._new_member(old.service, old.name, version)
        new.start_first()
        new.publish(self._registry)  # same name: callers move over
        self._roster.put(new)
        self._clock.sleep(NOTICE_S)
        old.retire()
        old.stop()

    def _join(self, member: Member) -> None:
        member.start_first()
        self._roster.put(member)
        member.publish(self._registry)

    def _has_peers(self, member: Member) -> bool:
        others = [peer for peer in self._roster.of(member.service) if peer is not member]
        return any(self._registry.lists(peer.service, peer.name) and peer.running for peer in others)


def _replace_in_place(member: Member, version: str) -> None:
    """For the entry, whose address clients know: the one deployment that interrupts."""
    before, member.version = member.version, version
    try:
        member.restart()
    except StackError:
        member.version = before
        raise
