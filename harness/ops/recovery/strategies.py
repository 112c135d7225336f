"""Which actions fit which cause, the least disturbing first. A cause without one is for a person."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.ops import announced
from harness.ops.diagnosis.ranking import Cause
from harness.ops.targets import Targets


@dataclass(frozen=True, slots=True)
class Step:
    """One action to ask for: the body of `POST /actions`."""

    verb: str
    service: str
    instance: str | None = None
    args: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Situation:
    """What a choice depends on beside the cause. `replicas` are registered instances by service."""

    targets: Targets
    users_affected: bool = False
    replicas: Mapping[str, int] = field(default_factory=dict)
    repeated: bool = False  # the same symptom has come back after it had gone

    def role(self, service: str) -> str:
        return self.targets.kinds.get(service, "http")


Rung = tuple[Step, ...]
Strategy = Callable[[Cause, Situation], Rung]
"""The steps that it takes for a cause, at once; empty where it cannot be used."""

MOST_REPLICAS = 4
SHED_RATIO = 0.4


def restart(cause: Cause, _: Situation) -> Rung:
    """Of the instances that were named, or of those that are not ready."""
    return tuple(Step("restart", cause.service, i) for i in cause.instances) or (Step("restart", cause.service),)


def failover(cause: Cause, situation: Situation) -> Rung:
    """Out of rotation, and never the last one."""
    left = situation.replicas.get(cause.service, 0) - len(cause.instances)
    return tuple(Step("failover", cause.service, i) for i in cause.instances) if left >= 1 else ()


def scale_up(cause: Cause, situation: Situation) -> Rung:
    """One more than there are."""
    wanted = situation.replicas.get(cause.service, 0) + 1
    return (Step("scale", cause.service, args={"replicas": wanted}),) if 2 <= wanted <= MOST_REPLICAS else ()


def rollback(cause: Cause, _: Situation) -> Rung:
    """To what ran before."""
    return (Step("rollback", cause.service),)


def clear_cache(cause: Cause, _: Situation) -> Rung:
    return (Step("clear_cache", cause.service),)


def reset_pool(cause: Cause, _: Situation) -> Rung:
    return (Step("reset_pool", cause.service),)


def reindex(cause: Cause, _: Situation) -> Rung:
    return (Step("reindex", cause.service),)


def shed_load(cause: Cause, situation: Situation) -> Rung:
    """Some are refused so that the others are served: only where all suffer already."""
    return (Step("shed_load", cause.service, args={"ratio": SHED_RATIO}),) if situation.users_affected else ()


def switch_provider(cause: Cause, situation: Situation) -> Rung:
    """To the next one; a provider is not ours to restart."""
    others = [p for p in situation.targets.providers() if p != cause.service]
    return tuple(Step("switch_provider", cause.service, args={"provider": p}) for p in others[:1])


def _if_users_suffer(strategy: Strategy) -> Strategy:
    return lambda cause, situation: strategy(cause, situation) if situation.users_affected else ()


def _if_it_comes_again(strategy: Strategy) -> Strategy:
    return lambda cause, situation: strategy(cause, situation) if situation.repeated else ()


@dataclass(frozen=True, slots=True)
class Choice:
    """A row of the table: for causes of these kinds at services of this role, where `sign` is one of their symptoms (empty: any)."""

    role: str
    kinds: Sequence[str]
    ladder: Sequence[Strategy]
    sign: str = ""


_OF_PROVIDERS = ("latency", "errors", "crash", "hang", "quality", "network", "credentials", "config", "version", "data")
_OF_ONE_INSTANCE = ("crash", "hang", "memory", "descriptors")

# The first row that fits is taken. A cause that no row fits is left alone, or handed over where `wants_person` says so.
CHOICES: tuple[Choice, ...] = (
    # A provider that only limits our rate is left only when users feel it: retry and fallback are made for that.
    Choice("llm", ("rate_limit",), (_if_users_suffer(switch_provider),)),
    Choice("llm", _OF_PROVIDERS, (switch_provider,)),
    Choice("http", ("version", "config"), (rollback,)),
    Choice("http", ("quality",), (rollback,), sign="CanaryWrong"),
    Choice("http", ("cpu",), (failover, scale_up), sign="ProcessorThrottled"),  # a restart keeps the quota
    Choice("http", ("cpu",), (restart, failover)),
    Choice("http", _OF_ONE_INSTANCE, (restart, failover)),
    Choice("http", ("pool",), (restart, failover), sign="InstanceStalls"),
    Choice("http", ("pool",), (reset_pool, restart)),
    Choice("http", ("clock",), (failover,)),
    Choice("http", ("latency",), (scale_up,), sign="DocumentsWaiting"),
    Choice("http", ("load",), (_if_users_suffer(scale_up), shed_load)),
    Choice("redis", ("crash", "hang", "memory"), (restart,)),
    Choice("redis", ("latency",), (restart,), sign="CacheSlow"),
    Choice("redis", ("latency",), (_if_it_comes_again(restart),), sign="CacheEmptied"),
    Choice("redis", ("data",), (clear_cache,)),
    Choice("postgres", ("crash", "hang", "pool", "memory"), (restart,)),
    Choice("postgres", ("latency",), (restart,), sign="LockWaits"),  # who holds the locks loses its session
    Choice("postgres", ("data",), (reindex,), sign="CanaryWrong"),
    Choice("vector", ("crash", "hang", "memory"), (restart,)),
)


GROUP = "rag_gauntlet.strategies"


class StrategyError(ValueError):
    """What other distributions announce as a strategy is none; the message says why."""


def choices_of(names: Sequence[str]) -> tuple[Choice, ...]:
    """All choices, those that other distributions announce under these names first. Raises StrategyError."""
    found: list[Choice] = []
    for name in names:
        try:
            rows = announced.load(GROUP, name, "strategy")
        except announced.AnnouncedError as error:
            raise StrategyError(str(error)) from error
        rows = (rows,) if isinstance(rows, Choice) else rows
        if not isinstance(rows, list | tuple) or not rows or not all(isinstance(row, Choice) for row in rows):
            raise StrategyError(f"the strategy {name!r} is no Choice, and no list of them")
        found += rows
    return (*found, *CHOICES)


def ladder_for(cause: Cause, situation: Situation, choices: Sequence[Choice] = CHOICES) -> tuple[Rung, ...]:
    """What can heal the cause, rung by rung; empty when nothing can. A way between two services is nobody's to restart."""
    if "->" in cause.service:
        return ()
    role = situation.role(cause.service)
    for choice in choices:
        if choice.role == role and cause.kind in choice.kinds and (not choice.sign or choice.sign in cause.signs):
            return tuple(rung for strategy in choice.ladder if (rung := strategy(cause, situation)))
    return ()


_FOR_PEOPLE = ("network", "dns", "credentials", "clock", "disk", "config", "data", "quality", "observability", "version")


def wants_person(cause: Cause) -> bool:
    """True when waiting for more evidence is pointless, as no verb heals such a cause."""
    return "->" in cause.service or cause.kind in _FOR_PEOPLE
