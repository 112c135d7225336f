"""Which replica gets the next attempt.

Passive health: FAILURES_TO_LEAVE consecutive failures put a replica out of rotation. Active health: while it is out, it is
probed every PROBE_INTERVAL_S; SUCCESSES_TO_RETURN answers in a row bring it back. If all replicas are out they are tried
anyway (fail open): a wrong suspicion about everything must not become an outage of its own.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Protocol

from mocks.rag.common.log import get_logger
from mocks.rag.common.metrics import INSTANCE_HEALTHY
from mocks.rag.common.registry import Instance, Registry, StrategyName

FAILURES_TO_LEAVE = 3
SUCCESSES_TO_RETURN = 2
PROBE_INTERVAL_S = 1.0

BALANCING: StrategyName = "least_connections"
"""Where the deployment does not say otherwise: it alone notices that a replica has become slow."""

Probe = Callable[[Instance], Awaitable[bool]]


class Replica:
    """An instance as this client sees it."""

    __slots__ = ("credit", "failures", "in_flight", "in_rotation", "instance")

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.in_rotation = True
        self.in_flight = 0
        self.failures = 0
        self.credit = 0.0


class Strategy(Protocol):
    """Chooses among at least one replica; may keep state."""

    def choose(self, replicas: Sequence[Replica]) -> Replica:
        """The replica for the next attempt."""


class RoundRobin:
    """One after the other."""

    def __init__(self) -> None:
        self._turn = -1

    def choose(self, replicas: Sequence[Replica]) -> Replica:
        """The next in turn."""
        self._turn += 1
        return replicas[self._turn % len(replicas)]


class LeastConnections:
    """The replica with the fewest attempts in flight; ties in turn, or an idle service would always use its first."""

    def __init__(self) -> None:
        self._ties = RoundRobin()

    def choose(self, replicas: Sequence[Replica]) -> Replica:
        """The least busy."""
        fewest = min(replica.in_flight for replica in replicas)
        return self._ties.choose([replica for replica in replicas if replica.in_flight == fewest])


class SmoothWeighted:
    """Smooth weighted round robin (as in nginx): weights 3 and 1 give a a b a, not a a a b."""

    def choose(self, replicas: Sequence[Replica]) -> Replica:
        """The replica with the most credit; it pays the round's total, everyone earns its weight."""
        for replica in replicas:
            replica.credit += replica.instance.weight
        best = max(replicas, key=lambda replica: replica.credit)
        best.credit -= sum(replica.instance.weight for replica in replicas)
        return best


STRATEGIES: dict[StrategyName, Callable[[], Strategy]] = {
    "round_robin": RoundRobin,
    "least_connections": LeastConnections,
    "weighted": SmoothWeighted,
}


class Balancer:
    """The replicas of one callee, as the registry lists them, balanced as its setting `balancing` wants.

    `on_return` is called when a replica comes back or a new one appears.
    """

    def __init__(
        self,
        callee: str,
        registry: Registry,
        probe: Probe,
        *,
        on_return: Callable[[], None] = lambda: None,
        probe_interval_s: float = PROBE_INTERVAL_S,
    ) -> None:
        self._callee = callee
        self._registry = registry
        self._balancing = BALANCING
        self._strategy = STRATEGIES[BALANCING]()
        self._probe = probe
        self._on_return = on_return
        self._probe_interval_s = probe_interval_s
        self._replicas: list[Replica] = []
        self._watchers: dict[Replica, asyncio.Task[None]] = {}
        self._log = get_logger("balancer")
        registry.on_change(self._follow)
        self._follow()

    @property
    def replicas(self) -> Sequence[Replica]:
        """All replicas, in and out of rotation."""
        return self._replicas

    def pick(self, tried: Collection[Replica] = ()) -> Replica | None:
        """The replica for the next attempt, if possible in rotation and not among `tried`; None when none is registered."""
        if not self._replicas:
            return None
        usable = [replica for replica in self._replicas if replica.in_rotation] or self._replicas
        fresh = [replica for replica in usable if replica not in tried]
        return self._strategy.choose(fresh or usable)

    def has_other(self, tried: Collection[Replica]) -> bool:
        """Whether a replica in rotation has not been tried."""
        return any(replica.in_rotation and replica not in tried for replica in self._replicas)

    def succeeded(self, replica: Replica) -> None:
        """The replica answered."""
        replica.failures = 0

    def failed(self, replica: Replica) -> None:
        """The replica did not answer, or broke off, or said that it is broken itself."""
        replica.failures += 1
        if replica.failures >= FAILURES_TO_LEAVE and replica.in_rotation and replica in self._replicas:
            self._set_rotation(replica, False)
            # An own context: the watcher outlives the request that found the replica broken.
            self._watchers[replica] = asyncio.get_running_loop().create_task(self._watch(replica), context=contextvars.Context())

    async def close(self) -> None:
        """End the active checks."""
        watchers = list(self._watchers.values())
        for watcher in watchers:
            watcher.cancel()
        await asyncio.gather(*watchers, return_exceptions=True)

    async def _watch(self, replica: Replica) -> None:
        successes = 0
        try:
            while successes < SUCCESSES_TO_RETURN:
                await asyncio.sleep(self._probe_interval_s)
                successes = successes + 1 if await self._probe(replica.instance) else 0
            replica.failures = 0
            self._set_rotation(replica, True)
            self._on_return()
        finally:
            self._watchers.pop(replica, None)

    def _set_rotation(self, replica: Replica, in_rotation: bool) -> None:
        replica.in_rotation = in_rotation
        INSTANCE_HEALTHY.labels(self._callee, replica.instance.name).set(int(in_rotation))
        event = "replica back in rotation" if in_rotation else "replica out of rotation"
        self._log.warning(event, callee=self._callee, replica=replica.instance.name)

    def _follow(self) -> None:
        self._balance()
        known = {(replica.instance.name, replica.instance.url): replica for replica in self._replicas}
        self._replicas = []
        for instance in self._registry.instances(self._callee):
            replica = known.pop((instance.name, instance.url), None)
            if replica is None:
                replica = Replica(instance)
                self._on_return()
            replica.instance = instance  # its weight may have changed
            self._replicas.append(replica)
        for gone in known.values():
            INSTANCE_HEALTHY.remove(self._callee, gone.instance.name)
            watcher = self._watchers.pop(gone, None)
            if watcher is not None:
                watcher.cancel()
        for replica in self._replicas:
            INSTANCE_HEALTHY.labels(self._callee, replica.instance.name).set(int(replica.in_rotation))

    def _balance(self) -> None:
        wanted: StrategyName = self._registry.setting("balancing", {}).get(self._callee, BALANCING)
        if wanted != self._balancing:
            self._balancing, self._strategy = wanted, STRATEGIES[wanted]()
