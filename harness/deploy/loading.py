"""A deploy file to a `DeployPlan`, or to problems with file, line and column, before anything starts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import ValidationError

from harness.deploy.plan import COMPARED_PHASE, DeployPlan, Strategy
from harness.scenario.catalog import StackInfo
from harness.scenario.document import Kind, parse
from harness.scenario.explain import problems_of
from harness.scenario.loader import read_text
from harness.scenario.model import FaultUse
from harness.scenario.problem import KeyPath, Positions, Problem, ScenarioError, did_you_mean
from harness.scenario.slis import sli_name
from harness.scenario.targets import parse_target
from harness.score.slo import needed
from harness.stack.catalog import info_for
from harness.stack.topology import topology

DEPLOY = Kind("a deploy", "write `name:` and `change: {version: …}`; see docs/deploy.md", "begin with `name: my-deploy`")
SEEN_BY_ROUTER = ("availability", "latency")
"""Families of SLIs that are told from what passes a router, version by version."""
_COUNTED = ("goodput", "wrong_answers", "lost_ingest")
_SIDE_BY_SIDE = ("processes", "containers")


class DeployError(ScenarioError):
    """A deploy file that cannot be used; `problems` holds at least one."""


@dataclass(frozen=True, slots=True)
class LoadedPlan:
    """A plan with its text."""

    plan: DeployPlan
    text: str
    path: str


def load_plan(path: Path, strategy: Strategy) -> LoadedPlan:
    """Read one file for one strategy. Raises DeployError."""
    try:
        return plan_of_text(read_text(path), str(path), strategy)
    except DeployError:
        raise
    except ScenarioError as error:
        raise DeployError(error.problems) from None


def plan_of_text(text: str, path: str, strategy: Strategy) -> LoadedPlan:
    """The same from text; `path` is what problems call it. Raises DeployError."""
    try:
        data, positions = parse(text, path, DEPLOY)
    except ScenarioError as error:
        raise DeployError(error.problems) from None
    try:
        plan = DeployPlan.model_validate(data)
    except ValidationError as error:
        raise DeployError(problems_of(error, DeployPlan, data, positions, path)) from None
    found = [problem(path, positions, *one) for one in _checks(plan, strategy)]
    if found:
        raise DeployError(sorted(found, key=lambda p: (p.line, p.column)))
    return LoadedPlan(plan, text, path)


def unusable_url(text: str) -> str | None:
    """Why that is no absolute URL of a server; None where it is one. The URL itself may hold a password, and is not shown."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return "the URL has no port between 0 and 65535"
    if not parts.scheme or "://" not in text:
        return "the URL has no scheme, or no host" if parts.scheme else "the URL has no scheme"
    if not parts.hostname:
        return "the URL has no host"
    return "the URL has no port that anybody could listen on" if port == 0 else None


def problem(path: str, positions: Positions, where: KeyPath, message: str, hint: str) -> Problem:
    """At the key, or the nearest thing around it."""
    at = positions.key(where)
    return Problem(path, at.line, at.column, message, hint)


def _checks(plan: DeployPlan, strategy: Strategy) -> Iterator[tuple[KeyPath, str, str]]:
    if plan.stack.use != "reference" or plan.stack.driver not in _SIDE_BY_SIDE:
        hint = "deploy the reference stack, with driver processes or containers"
        yield ("stack",), "two versions of this stack cannot stand side by side on this machine", hint
        return
    if plan.stack.tls:
        yield ("stack", "tls"), "the router in front of both versions speaks HTTP in the clear", "drop `tls`"
    yield from _services(plan)
    yield from _slis(plan)
    yield from _faults(plan)
    if strategy == "rolling":
        yield from _rolling(plan)


def _services(plan: DeployPlan) -> Iterator[tuple[KeyPath, str, str]]:
    known = topology(plan.stack.vector_store).services
    for service, variables in plan.change.environment.items():
        if service not in known:
            yield ("change", "environment", service), f"the stack has no service {service!r}", did_you_mean(service, known)
        for name, value in variables.items():
            if name.endswith("_URL") and (reason := unusable_url(value)) is not None:
                yield ("change", "environment", service, name), f"{name}: {reason}", "write it whole: scheme://host:port/…"
    for service in plan.change.replicas:
        if service not in known:
            yield ("change", "replicas", service), f"the stack has no service {service!r}", did_you_mean(service, known)


def _slis(plan: DeployPlan) -> Iterator[tuple[KeyPath, str, str]]:
    for key, name in [("objectives", n) for n in plan.objectives] + [("compare", n) for n in plan.compare]:
        try:
            sli = sli_name(name)
        except ValueError as error:
            text, _, hint = str(error).partition("; ")
            yield (key, name), text, hint
            continue
        if sli.family in _COUNTED:
            yield (key, name), f"{name} is one number for a whole run", "write a share or a percentile"
        elif key == "compare" and sli.family not in SEEN_BY_ROUTER:
            yield (key, name), f"{name} cannot be told from what passes the router", "write availability, or latency_p95"
    yield from _limits(plan)
    for name in plan.verify.metrics if plan.verify is not None else ():
        try:
            counted = sli_name(name).family in _COUNTED
        except ValueError as error:
            text, _, hint = str(error).partition("; ")
            yield ("verify", "metrics", name), text, hint
        else:
            if counted:
                yield ("verify", "metrics", name), f"{name} is one number for a whole run", "write a share or a percentile"


def _faults(plan: DeployPlan) -> Iterator[tuple[KeyPath, str, str]]:
    """What both versions can have while they are compared: they stand already, as they were started."""
    wanted = plan.verify
    seen: set[str] = set()
    for n, use in enumerate(wanted.faults if wanted is not None else ()):
        at: KeyPath = ("verify", "faults", n)
        yield from _fault(use, info_for(plan.stack), at)
        if use.phase != COMPARED_PHASE or use.for_s is None:
            yield at, "a comparison is one phase, in which each fault begins and ends", f"write `at: {COMPARED_PHASE}+20s, for: 20s`"
        elif wanted is not None and use.offset_s + use.for_s > wanted.length:
            yield (*at, "for"), f"it ends after the comparison, which takes {wanted.length:g}s", "let it begin earlier, or end"
        if use.id in seen:
            yield (*at, "id"), f"fault id {use.id!r} is used twice", "give each fault its own id"
        seen.add(use.id)


def _fault(use: FaultUse, info: StackInfo, at: KeyPath) -> Iterator[tuple[KeyPath, str, str]]:
    from harness.faults.registry import catalog_of  # its faults need packages that whoever judges a record may lack

    catalog = catalog_of(info.capabilities)
    spec = catalog.get(use.type)
    if spec is None:
        yield (*at, "type"), f"there is no fault {use.type!r}", did_you_mean(use.type, catalog)
        return
    if not spec.fits(info.capabilities) or spec.through_proxy(info, use.with_) or "Volumed" in spec.needs:
        yield (*at, "type"), f"{use.type} cannot be put into a version that stands already", "write another one: `gauntlet faults list`"
    try:
        target = parse_target(use.target, info)
        spec.parameters.model_validate(dict(use.with_))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        yield (*at, "with"), f"{'.'.join(map(str, first['loc']))}: {first['msg']}", f"see docs/faults/{use.type}.md"
    except ValueError as error:
        message, _, hint = str(error).partition("; ")
        yield (*at, "target"), message, hint
    else:
        if target.shape not in spec.targets:
            message = f"{use.type} does not go to the {target.shape} {use.target!r}"
            yield (*at, "target"), message, f"write a target that is {' or '.join(spec.targets)}"


def _limits(plan: DeployPlan) -> Iterator[tuple[KeyPath, str, str]]:
    """Limits that the shortest time of watching cannot carry could only ever be INCONCLUSIVE."""
    watched_s = min([plan.bake, *([plan.rolling.pause] if plan.rolling is not None else [])])
    expected = int(plan.users.rate * watched_s)
    for name, limit in plan.objectives.items():
        if limit.of is not None:
            yield ("objectives", name), f"{limit.text}: a step has nothing to be relative to", "write a fixed limit"
            continue
        try:
            least = needed(sli_name(name), limit)
        except ValueError:
            continue  # told above
        if expected < least:
            message = f"{limit.text} takes {least} requests to be told, and in {watched_s:g}s users send {expected}"
            yield ("objectives", name), message, f"watch for {ceil(least / plan.users.rate)}s or longer (`bake`), or write another limit"


def _rolling(plan: DeployPlan) -> Iterator[tuple[KeyPath, str, str]]:
    if plan.rolling is None:
        yield (), "a rolling deploy must know which services it rolls", "add `rolling: {services: [retrieval]}`"
        return
    services = topology(plan.stack.vector_store).services
    have = info_for(plan.stack).services
    for n, name in enumerate(plan.rolling.services):
        at: KeyPath = ("rolling", "services", n)
        if name not in services:
            yield at, f"the stack has no service {name!r}", did_you_mean(name, services)
        elif services[name].kind != "http":
            yield at, f"{name} has no version of ours", "name a service of the application"
        elif services[name].single:
            yield at, f"{name} runs exactly once, so replacing it would interrupt it", "deploy it blue-green"
        elif (count := have[name]) <= plan.rolling.max_unavailable:
            most = plan.rolling.max_unavailable
            hint = f"write `stack: {{replicas: {{{name}: {most + 1}}}}}`, or a lower max_unavailable"
            yield at, f"{name} has {count} instance(s), of which {most} may be out at a time: nobody would serve", hint
    for name in plan.change.environment:
        if name in services and name not in plan.rolling.services:
            yield ("change", "environment", name), f"{name} is not rolled, so it would never be told", "name it in rolling.services"
    if plan.change.replicas:
        yield ("change", "replicas"), "a rolling deploy replaces instances and adds none", "drop it"
    for key in ("verify", "memory"):
        if getattr(plan, key) is not None:
            yield (key,), f"{key} needs the new version beside the old one", "drop it, or deploy blue-green"
