"""What a fault's `target` names: a service, one of its instances, an edge between two services, or a host."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor

from harness.scenario.catalog import ALERT_WEBHOOK, StackInfo, TargetShape
from harness.scenario.problem import did_you_mean
from harness.scenario.units import percent


@dataclass(frozen=True, slots=True)
class TargetRef:
    """A parsed target. Of an edge, `service` is the callee; of a host, its name."""

    shape: TargetShape
    service: str
    instance: str | None = None
    edge: tuple[str, str] | None = None


def parse_target(text: str, stack: StackInfo) -> TargetRef:
    """Resolve `llm`, `retrieval-2`, `retrieval->postgres` in a stack. Raises ValueError (`what; write …`) for what it does not have."""
    if "->" in text:
        return _edge(text, stack)
    if text in stack.services:
        return TargetRef("service", text)
    if text == ALERT_WEBHOOK:
        return TargetRef("webhook", text)
    if text in stack.hosts:
        return TargetRef("host", text)
    service, _, number = text.rpartition("-")
    if service in stack.services and number.isdecimal():
        replicas = stack.services[service]
        if not 1 <= int(number) <= replicas:
            raise ValueError(f"{service} has {_count(replicas)}, there is no {text!r}; {_instances(service, replicas)}")
        return TargetRef("instance", service, instance=f"{service}-{int(number)}")
    instances = [f"{s}-{n + 1}" for s, replicas in stack.services.items() for n in range(replicas) if replicas > 1]
    hint = did_you_mean(text, [*stack.services, *stack.hosts, *instances])
    raise ValueError(f"the stack {stack.name!r} has no {text!r}; {hint}")


def how_many(instances: str | int, service: str, replicas: int) -> int:
    """How many of a service's instances `one`, `all`, `2` or `50%` are. Raises ValueError (`what; write …`) for none or too many."""
    if instances == "one":
        return 1
    if instances == "all":
        return replicas
    if isinstance(instances, int):
        if instances > replicas:
            raise ValueError(f"{service} has {_count(replicas)}, not {instances}; write at most {replicas}, or all")
        return instances
    count = floor(percent(instances) * replicas + 0.5)
    if count < 1:
        hint = f"write at least {50 / replicas:.3g}%, or a number"
        raise ValueError(f"{instances} of {_count(replicas)} of {service} is none: a fault must never have zero targets; {hint}")
    return count


def _edge(text: str, stack: StackInfo) -> TargetRef:
    caller, _, callee = (part.strip() for part in text.partition("->"))
    if (caller, callee) in stack.edges:
        return TargetRef("edge", callee, edge=(caller, callee))
    if (callee, caller) in stack.edges:
        raise ValueError(f"{caller} does not call {callee}; the edge runs the other way: write '{callee}->{caller}'")
    hint = did_you_mean(f"{caller}->{callee}", (f"{a}->{b}" for a, b in stack.edges))
    raise ValueError(f"the stack {stack.name!r} has no edge {caller}->{callee}; {hint}")


def _count(replicas: int) -> str:
    return f"{replicas} instance" + ("s" if replicas > 1 else "")


def _instances(service: str, replicas: int) -> str:
    return f"write {service}-1" + (
        f" … {service}-{replicas}" if replicas > 1 else f", or give it more in `stack: {{replicas: {{{service}: 2}}}}`"
    )
