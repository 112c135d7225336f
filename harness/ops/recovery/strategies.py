"""Which action fits which cause. A cause without one is for a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.ops.diagnosis.ranking import Cause
from harness.ops.targets import Targets


@dataclass(frozen=True, slots=True)
class Step:
    """One action to ask for: the body of `POST /actions`."""

    verb: str
    service: str
    instance: str | None = None
    args: Mapping[str, Any] = field(default_factory=dict)


_RESTARTED = ("crash", "hang", "memory", "descriptors")
_SWITCHED = ("latency", "errors", "rate_limit", "crash", "hang", "quality")


def steps_for(cause: Cause, targets: Targets, *, users_affected: bool) -> tuple[Step, ...]:
    """The actions that can heal the cause, in order; empty when there is none.

    A slow or failing provider is left for another one: it is not ours to restart. A provider that only limits our rate is left
    only when users feel it, because retry and fallback are made for that.
    """
    if "->" in cause.service:
        return ()
    if targets.kinds.get(cause.service) == "llm" and cause.kind in _SWITCHED:
        if cause.kind == "rate_limit" and not users_affected:
            return ()
        others = [p for p in targets.providers() if p != cause.service]
        return tuple(Step("switch_provider", cause.service, args={"provider": p}) for p in others[:1])
    if cause.kind in _RESTARTED:
        return tuple(Step("restart", cause.service, instance) for instance in cause.instances) or (Step("restart", cause.service),)
    if cause.kind == "pool":
        return (Step("reset_pool", cause.service),)
    return ()


def wants_person(cause: Cause) -> bool:
    """True when no verb can heal such a cause, so that waiting for more evidence is pointless."""
    return "->" in cause.service or cause.kind in ("network", "dns", "credentials", "clock")
