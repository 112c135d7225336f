"""What is moved so that a host has something on it again: a swarm puts nothing back by itself. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from harness.stack.base import HostLook, Instance


def takes_part(look: HostLook) -> bool:
    """Whether a host is given tasks."""
    return look.silent is None and (look.state, look.availability) == ("ready", "active")


def to_move(by_host: Mapping[str, Sequence[Instance]], host: str, pinned: frozenset[str]) -> list[str]:
    """Instances that leave for an empty host when they are restarted: as many as its share, at most one of a service, each with a peer.

    The swarm fills a place where the service has the fewest tasks, and of such nodes on the one that has the fewest of any.
    """
    movable = [(where, instance) for where, instances in by_host.items() for instance in instances if instance.service not in pinned]
    peers = Counter(instance.service for _, instance in movable)
    load = Counter(where for where, _ in movable)
    chosen: dict[str, str] = {}
    for where, instance in sorted(movable, key=lambda one: (-load[one[0]], one[1].name)):
        if where != host and peers[instance.service] > 1:
            chosen.setdefault(instance.service, instance.name)
    share = max(1, len(movable) // len(by_host))
    return sorted(chosen.values())[:share]
