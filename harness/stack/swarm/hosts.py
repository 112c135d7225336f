"""Capabilities of a swarm stack over its nodes, which are no part of the run: it finds them, and leaves them as they were."""

from __future__ import annotations

from collections.abc import Sequence

from harness.scenario.catalog import StackInfo
from harness.stack.base import HostLook, HostVerb, Instance
from harness.stack.swarm.nodes import Nodes
from harness.stack.swarm.view import View


class SwarmHosts:
    """The part of the stack that keeps them; `Nodes` does the work."""

    _nodes: Nodes
    _view: View

    @property
    def info(self) -> StackInfo:
        """Of the stack."""
        raise NotImplementedError

    def instances(self, service: str) -> Sequence[Instance]:
        """Of the stack."""
        raise NotImplementedError

    def instances_on(self, host: str) -> Sequence[Instance]:
        node = self._nodes.get(host)
        everywhere = [instance for service in self.info.services for instance in self.instances(service)]
        return [instance for instance in everywhere if self._view.seat(instance.name).node == node]

    def look_at_host(self, host: str) -> HostLook:
        return self._nodes.look_at(host)

    def set_host_killed(self, host: str, killed: bool) -> None:
        self._nodes.act(host, "kill", undo=not killed)

    def set_host_paused(self, host: str, paused: bool) -> None:
        self._nodes.act(host, "pause", undo=not paused)

    def set_host_cut(self, host: str, cut: bool) -> None:
        self._nodes.act(host, "cut", undo=not cut)

    def set_host_drained(self, host: str, drained: bool) -> None:
        self._nodes.act(host, "drain", undo=not drained)

    def restoring_host_command(self, host: str, verb: HostVerb) -> Sequence[str]:
        return self._nodes.restoring_command(host, verb)
