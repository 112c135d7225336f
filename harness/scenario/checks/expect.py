"""Expectations: of faults that exist, that the schedule leaves time for, and that the fault allows."""

from __future__ import annotations

from collections.abc import Iterator

from harness.scenario.catalog import FaultSpec, StackInfo
from harness.scenario.checks.faults import Catalog
from harness.scenario.checks.schedule import begins_s
from harness.scenario.loader import Loaded
from harness.scenario.model import VERBS, Expect, FaultUse, RootCause
from harness.scenario.problem import KeyPath, Problem, did_you_mean
from harness.scenario.units import Limit

HOLD_S = 10.0  # regained means: within limits for this long, wholly before the heal
WINDOW_S = 5.0  # and judged in windows of this length
_COUNTS = ("false_alarms", "needless_actions", "wrong_actions", "harmful_actions")
_BY_OPERATOR = ("alert", "alerts", "root_cause", "action", "escalated")
_ENDED_BY_ITSELF = {"recovered", "self_healed"}
_TIMED = {*_ENDED_BY_ITSELF, "absorbed"}  # absorbed: until the declared redundancy is there again


def check_expectations(loaded: Loaded, catalog: Catalog, stack: StackInfo) -> Iterator[Problem]:
    """Everything about `expect`."""
    faults = {fault.id: fault for fault in loaded.scenario.faults}
    seen: set[tuple[str | None, str]] = set()
    for n, entry in enumerate(loaded.scenario.expect):
        where: KeyPath = ("expect", n)
        yield from _units(loaded, entry, where)
        for name in sorted(entry.model_fields_set - {"fault"}):
            if (entry.fault, name) in seen:
                yield loaded.at_key((*where, name), f"{name} is expected twice of {entry.fault or 'the run'}", "keep one of them")
            seen.add((entry.fault, name))
        if entry.fault is None:
            yield from _callers(loaded, entry, catalog, stack, where)
            continue
        fault = faults.get(entry.fault)
        if fault is None:
            yield loaded.at((*where, "fault"), f"there is no fault with id {entry.fault!r}", did_you_mean(entry.fault, faults))
            continue
        yield from _root_cause(loaded, entry, catalog.get(fault.type), stack, where)
        yield from _action(loaded, entry, where)
        yield from _operator(loaded, entry, where)
        yield from _time(loaded, entry, fault, where)
        if spec := catalog.get(fault.type):
            yield from _possible(loaded, entry, spec, where)


def _units(loaded: Loaded, entry: Expect, where: KeyPath) -> Iterator[Problem]:
    limits: list[tuple[KeyPath, Limit | None]] = [((name,), getattr(entry, name)) for name in ("alert", "within", *_COUNTS)]
    limits += [(("alerts", name), limit) for name, limit in (entry.alerts or {}).items()]
    if isinstance(entry.root_cause, RootCause):
        limits.append((("root_cause", "within"), entry.root_cause.within))
    for key, limit in limits:
        if limit is None:
            continue
        name, at = str(key[-1]), (*where, *key)
        unit, wanted, example = ("number", "a count", "0") if name in _COUNTS else ("s", "a time", "<= 10s")
        if limit.of is not None:
            yield loaded.at(at, f"{name} cannot be relative to {limit.of}", f'write "{example}"')
        elif limit.unit != unit:
            yield loaded.at(at, f"{name} is {wanted}, and {limit.text!r} is not", f'write "{example}"')
        elif limit.op in (">", ">="):
            yield loaded.at(at, f"{limit.text!r} would ask {name} to be bad", f'write an upper limit: "{example}"')


def _callers(loaded: Loaded, entry: Expect, catalog: Catalog, stack: StackInfo, where: KeyPath) -> Iterator[Problem]:
    """How callers treat a provider shows in the journal of a mock, and only while one fails."""
    if entry.callers is None:
        return
    at = (*where, "callers")
    if not stack.programmable:
        yield loaded.at_key(at, f"the stack {stack.name!r} has no mock provider whose journal would show its callers", "drop `callers`")
    elif not any("Programmable" in spec.needs for fault in loaded.scenario.faults if (spec := catalog.get(fault.type))):
        hint = "add a fault of a mock, such as llm.rate_limited (`gauntlet faults list`), or drop `callers`"
        yield loaded.at_key(at, "no fault makes a mock provider fail, so nothing could be said of its callers", hint)
    limit = entry.callers.amplification
    if limit is None:
        return
    if limit.of is not None or limit.unit != "number":
        yield loaded.at((*at, "amplification"), f"amplification is a number of attempts, and {limit.text!r} is not", 'write "<= 3"')
    elif limit.op in (">", ">="):
        yield loaded.at((*at, "amplification"), f"{limit.text!r} would ask amplification to be bad", 'write an upper limit: "<= 3"')


def _root_cause(loaded: Loaded, entry: Expect, spec: FaultSpec | None, stack: StackInfo, where: KeyPath) -> Iterator[Problem]:
    cause = entry.root_cause
    if not isinstance(cause, RootCause):
        return
    at = (*where, "root_cause")
    if cause.service is not None and cause.service not in stack.services:
        yield loaded.at((*at, "service"), f"the stack has no service {cause.service!r}", did_you_mean(cause.service, stack.services))
    edges = {f"{caller}->{callee}" for caller, callee in stack.edges}
    if cause.edge is not None and cause.edge.replace(" ", "") not in edges:
        yield loaded.at((*at, "edge"), f"the stack has no edge {cause.edge!r}", did_you_mean(cause.edge, edges))
    if cause.host is not None and cause.host not in stack.hosts:
        yield loaded.at((*at, "host"), f"the stack has no node {cause.host!r}", did_you_mean(cause.host, stack.hosts))
    if spec is not None and not spec.benign and cause.kind != spec.kind:
        message = f"{spec.name} is of kind {spec.kind!r}; a diagnosis of {cause.kind!r} would be counted as wrong elsewhere"
        yield loaded.at((*at, "kind"), message, f"write kind: {spec.kind}", "warning")


def _action(loaded: Loaded, entry: Expect, where: KeyPath) -> Iterator[Problem]:
    verbs = [entry.action] if isinstance(entry.action, str) else entry.action or []
    for n, verb in enumerate(verbs):
        if verb not in (*VERBS, "none"):
            at = (*where, "action") if isinstance(entry.action, str) else (*where, "action", n)
            yield loaded.at(at, f"there is no action {verb!r}", did_you_mean(verb, (*VERBS, "none")))


def _operator(loaded: Loaded, entry: Expect, where: KeyPath) -> Iterator[Problem]:
    if loaded.scenario.operator.enabled:
        return
    for name in _BY_OPERATOR:
        if getattr(entry, name) not in (None, "none", False):
            yield loaded.at_key(
                (*where, name), f"{name} is expected of an operator that is switched off", "set `operator: {enabled: true}`"
            )


def _time(loaded: Loaded, entry: Expect, fault: FaultUse, where: KeyPath) -> Iterator[Problem]:
    """Recovery is credited only if it holds before the fault is taken back."""
    outcomes = set(outcomes_of(entry))
    within_s = entry.within.value if entry.within is not None and entry.within.unit == "s" else 0.0
    if entry.within is None and not outcomes & _ENDED_BY_ITSELF:
        return
    if outcomes and not outcomes & _TIMED:
        message = f"`within` needs an outcome that ends the harm by itself, not {', '.join(sorted(outcomes))}"
        yield loaded.at_key((*where, "within"), message, "drop `within`, or expect `outcome: recovered`")
        return
    length_s = lasts_s(loaded, fault)
    needed_s = within_s + HOLD_S + WINDOW_S
    if length_s is not None and length_s < needed_s:
        message = (
            f"fault {fault.id!r} lasts {length_s:g}s, too short to see recovery: {within_s:g}s to recover "
            f"+ {HOLD_S:g}s held + {WINDOW_S:g}s window = {needed_s:g}s"
        )
        yield loaded.at_key((*where, "within" if entry.within else "outcome"), message, f"write for: {needed_s:g}s, or a shorter `within`")


def _possible(loaded: Loaded, entry: Expect, spec: FaultSpec, where: KeyPath) -> Iterator[Problem]:
    if spec.benign:
        for name in ("alert", "alerts", "outcome", "within", "escalated"):
            if getattr(entry, name) not in (None, False):
                message = f"{spec.name} is a benign change: nothing should come of it"
                yield loaded.at_key((*where, name), message, "expect `false_alarms: 0` of the whole run")
    elif not spec.recoverable_by and set(outcomes_of(entry)) == {"recovered"}:
        message = f"no action heals {spec.name}, so it cannot end as recovered"
        yield loaded.at((*where, "outcome"), message, "expect `escalated: true`, or another outcome")


def outcomes_of(entry: Expect) -> tuple[str, ...]:
    """The outcomes that an entry accepts; empty when it says nothing of it."""
    if entry.outcome is None:
        return ()
    return (entry.outcome,) if isinstance(entry.outcome, str) else tuple(entry.outcome)


def lasts_s(loaded: Loaded, fault: FaultUse) -> float | None:
    """Length of a fault; None when its phase does not exist."""
    if fault.for_s is not None:
        return fault.for_s
    length_s = loaded.scenario.phases.get(fault.phase)  # type: ignore[call-overload]  # the model admits names of phases only
    return None if length_s is None else length_s - begins_s(fault, loaded.scenario.faults)
