"""Faults: type, parameters, target, capabilities, and the place in the schedule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import ValidationError

from harness.scenario.catalog import ALERT_WEBHOOK, FaultSpec, StackInfo, TargetShape
from harness.scenario.checks.schedule import check_schedule
from harness.scenario.explain import problems_of
from harness.scenario.loader import Loaded
from harness.scenario.model import FaultUse
from harness.scenario.problem import KeyPath, Problem, did_you_mean
from harness.scenario.targets import TargetRef, how_many, parse_target

Catalog = Mapping[str, FaultSpec]


def check_faults(loaded: Loaded, catalog: Catalog, stack: StackInfo) -> Iterator[Problem]:
    """Everything about `faults`."""
    seen: set[str] = set()
    for n, fault in enumerate(loaded.scenario.faults):
        where: KeyPath = ("faults", n)
        if fault.id in seen:
            yield loaded.at((*where, "id"), f"fault id {fault.id!r} is used twice", "give each fault its own id")
        seen.add(fault.id)
        yield from check_schedule(loaded, fault, where)
        spec = catalog.get(fault.type)
        if spec is None:
            yield loaded.at((*where, "type"), f"there is no fault {fault.type!r}", did_you_mean(fault.type, catalog))
            continue
        yield from _parameters(loaded, fault, spec, where)
        yield from _target(loaded, fault, spec, catalog, stack, where)
    yield from _steady_state(loaded, catalog)


def _parameters(loaded: Loaded, fault: FaultUse, spec: FaultSpec, where: KeyPath) -> Iterator[Problem]:
    try:
        spec.parameters.model_validate(dict(fault.with_))
    except ValidationError as error:
        yield from problems_of(error, spec.parameters, dict(fault.with_), loaded.positions, loaded.path, root=(*where, "with"))


def _target(loaded: Loaded, fault: FaultUse, spec: FaultSpec, catalog: Catalog, stack: StackInfo, where: KeyPath) -> Iterator[Problem]:
    at = (*where, "target")
    if _has_no_such(spec, stack):  # else it would be told that there is no such service
        yield from _capabilities(loaded, fault, spec, TargetRef(spec.targets[0], fault.target), catalog, stack, where)
        return
    try:
        target = parse_target(fault.target, stack)
    except ValueError as error:
        message, _, hint = str(error).partition("; ")
        yield loaded.at(at, message, hint)
        return
    if target.shape == "webhook" and not loaded.scenario.operator.enabled:
        yield loaded.at(at, "nobody posts alerts: the operator is switched off", "set `operator: {enabled: true}`")
    if target.shape not in spec.targets:
        wanted = " or ".join(_SHAPES[shape] for shape in spec.targets)
        yield loaded.at(at, f"{spec.name} does not fit {_SHAPES[target.shape]}", f"write {wanted}")
    elif not spec.fits(stack.capabilities):
        yield from _capabilities(loaded, fault, spec, target, catalog, stack, where)
    elif spec.only_services and target.service not in spec.only_services:
        yield loaded.at(at, f"{spec.name} does not fit {target.service!r}", did_you_mean(target.service, spec.only_services))
    elif spec.only_roles and stack.role(target.service) not in spec.only_roles:
        fitting = [service for service in stack.services if stack.role(service) in spec.only_roles]
        message = f"{spec.name} goes to what speaks {' or '.join(spec.only_roles)}; {target.service!r} speaks {stack.role(target.service)}"
        yield loaded.at(at, message, f"write {' or '.join(fitting)}" if fitting else "this stack has none")
    else:
        yield from _instances(loaded, fault, spec, target, stack, where)
        yield from _capabilities(loaded, fault, spec, target, catalog, stack, where)


def _has_no_such(spec: FaultSpec, stack: StackInfo) -> bool:
    """Whether another stack would have what the fault goes to: nodes, or what ends TLS."""
    if spec.targets == ("host",):
        return not stack.hosts
    fitting = any(stack.role(service) in spec.only_roles for service in stack.services)
    return bool(spec.only_roles) and not fitting and not spec.fits(stack.capabilities)


def _instances(loaded: Loaded, fault: FaultUse, spec: FaultSpec, target: TargetRef, stack: StackInfo, where: KeyPath) -> Iterator[Problem]:
    """How many instances it hits: of a service, by a fault that can hit a single one."""
    at = (*where, "instances")
    if "instances" not in fault.model_fields_set:
        return
    if target.shape != "service":
        yield loaded.at_key(at, f"{fault.target!r} is {_SHAPES[target.shape]}: it has no instances to choose from", "leave `instances` out")
    elif "instance" not in spec.targets:
        yield loaded.at_key(at, f"{spec.name} acts on the whole of a service", "leave `instances` out")
    else:
        try:
            how_many(fault.instances, target.service, stack.services[target.service])
        except ValueError as error:
            message, _, hint = str(error).partition("; ")
            yield loaded.at(at, message, hint)


REFERENCE = "use a stack that can: `stack: {use: reference}`"
_MOCK = "let `gauntlet mock` play the service, and give it `admin: http://HOST:PORT` as that prints it (docs/mocks.md)"
_SHAPES: Mapping[TargetShape, str] = {
    "service": "a service",
    "instance": "an instance (`service-1`)",
    "edge": "an edge (`caller->callee`)",
    "host": "a node of a swarm",
    "webhook": f"the run's receiver of alerts (`{ALERT_WEBHOOK}`)",
}


def _capabilities(
    loaded: Loaded, fault: FaultUse, spec: FaultSpec, target: TargetRef, catalog: Catalog, stack: StackInfo, where: KeyPath
) -> Iterator[Problem]:
    lacking = sorted(set(spec.needs) - stack.capabilities)
    if not spec.fits(stack.capabilities):
        lacking = lacking or [" or ".join(spec.either)]
        message = f"the stack {stack.name!r} cannot do {spec.name}: it is not {', '.join(lacking)}"
        yield loaded.at((*where, "type"), message, _instead(spec, catalog, stack))
    elif beyond := next((need for need in spec.needs if not stack.acts(need, target.service)), None):
        message = f"{spec.name} needs {beyond}, which {target.service!r} of this stack is not"
        able = ", ".join(sorted(stack.acts_on[beyond])) or "another fault"
        how = ", or give it the `actuators` for it" if stack.name != "reference" else ""
        if target.shape == "host":
            how = ", or name its commands for that in `stack: {nodes: …}`"
        yield loaded.at((*where, "target"), message, f"write {able}{how}")
    elif spec.through_proxy(stack, fault.with_) and target.shape == "edge" and target.edge not in stack.proxyable:
        names = ", ".join(sorted(f"{caller}->{callee}" for caller, callee in stack.proxyable)) or "none"
        yield loaded.at((*where, "target"), f"no proxy can be put on {'->'.join(target.edge or ('?',))}", f"edges that can: {names}")
    elif "Programmable" in spec.needs and target.service not in stack.programmable:
        message = f"{target.service!r} has no admin API for faults"
        yield loaded.at((*where, "target"), message, did_you_mean(target.service, stack.programmable))


def _instead(spec: FaultSpec, catalog: Catalog, stack: StackInfo) -> str:
    """What could do what the stack cannot: the same one otherwise, or another fault of the kind."""
    ways = [f"`stack: {how}` can" for how, capabilities in stack.alternatives.items() if spec.fits(capabilities)]
    if not stack.alternatives:
        ways = [_MOCK, REFERENCE] if stack.name == "external" and "Programmable" in spec.needs else [REFERENCE]
    others = sorted(name for name, other in catalog.items() if other.kind == spec.kind and other.fits(stack.capabilities))
    hints = [*ways, *([f"this stack can do {', '.join(others)}"] if others else [])]
    return "; ".join(hints) or REFERENCE


def _steady_state(loaded: Loaded, catalog: Catalog) -> Iterator[Problem]:
    """Whether a fault hurt is told by comparing with what was normal."""
    scenario = loaded.scenario
    broken = [n for n, f in enumerate(scenario.faults) if f.type not in catalog or not catalog[f.type].benign]
    if broken and "steady_state" not in scenario.phases:
        hint = "add `steady_state: 30s` to `phases`"
        yield loaded.at_key(("phases",), "a fault follows, but there is no steady state to compare with", hint)
