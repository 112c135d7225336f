"""The availability model names what the stack has, and its figures can reach the target."""

from __future__ import annotations

from collections.abc import Iterator

from harness.scenario.catalog import StackInfo
from harness.scenario.loader import Loaded
from harness.scenario.problem import KeyPath, Problem, did_you_mean
from harness.scenario.reliability import Reliability, at_least, availability


def check_reliability(loaded: Loaded, stack: StackInfo) -> Iterator[Problem]:
    """Everything about `reliability`."""
    model = loaded.scenario.reliability
    if model is None:
        return
    where: KeyPath = ("reliability",)
    instances = {f"{service}-{n + 1}": service for service, replicas in stack.services.items() for n in range(replicas)}
    known = [*stack.services, *instances]
    found = [
        loaded.at((*where, "system"), f"the stack {stack.name!r} has no {leaf!r}", did_you_mean(leaf, known))
        for leaf in model.leaves
        if leaf not in known
    ]
    found += [
        loaded.at_key((*where, "components", name), f"the stack {stack.name!r} has no {name!r}", did_you_mean(name, known))
        for name in model.components
        if name not in known
    ]
    yield from found
    if not found and model.target is not None:
        yield from _reachable(loaded, model, instances)


def _reachable(loaded: Loaded, model: Reliability, instances: dict[str, str]) -> Iterator[Problem]:
    names = {leaf: [leaf] if leaf in instances else [i for i, service in instances.items() if service == leaf] for leaf in model.leaves}
    missing = [leaf for leaf, of in names.items() if any(model.figures(instances[i], i) is None for i in of)]
    if missing:
        message = f"nothing says how often {missing[0]!r} fails, so no availability follows"
        hint = f"add `{missing[0]}: {{mtbf: 24h, mttr: 30s}}` to `components`"
        yield loaded.at_key(("reliability", "system"), message, hint)
        return

    def of(leaf: str) -> float:
        return at_least(1, [f.expected() for i in names[leaf] if (f := model.figures(instances[i], i)) is not None])

    predicted = availability(model.system, of)
    if model.target is not None and not model.target.allows(predicted):
        message = f"by its own figures the system is available {predicted:.4%} of the time"
        yield loaded.at(("reliability", "target"), message, "write a target below that, add replicas, or better figures")
