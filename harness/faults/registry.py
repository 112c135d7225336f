"""The catalogue: which faults there are, how one is made from a scenario's entry, and what is true of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, cast

from pydantic import ValidationError

from harness.faults import (
    cache,
    cache_entries,
    cache_load,
    cache_stampede,
    clock,
    credentials,
    credentials_tls,
    data_documents,
    data_rows,
    data_uploads,
    database,
    database_pool,
    database_sessions,
    database_stale,
    deploy,
    embedding,
    host,
    http,
    llm,
    load,
    network,
    network_bytes,
    network_cut,
    network_names,
    network_pace,
    observability,
    process,
    process_loops,
    process_oom,
    process_start,
    process_stop,
    release,
    resource_cpu,
    resource_descriptors,
    resource_disk,
    resource_disk_slow,
    resource_memory,
    vector,
)
from harness.faults.base import Context, Fault, FaultError, KnownFault, Target
from harness.faults.group import GroupFault
from harness.faults.mesh import table as mesh
from harness.faults.scope import refuse_foreign
from harness.faults.third_party import announced
from harness.scenario.catalog import ALERT_WEBHOOK, FaultParameters, FaultSpec, StackInfo
from harness.scenario.model import FaultUse
from harness.scenario.targets import how_many, parse_target
from harness.stack.base import Instance

TTL_MARGIN_S = 60.0
"""How much longer than declared a fault may live in a proxy or a mock before it ends by itself."""
UNBOUNDED_TTL_S = 3600.0


class FaultClass(Protocol):
    """What makes faults of one type."""

    spec: FaultSpec

    def __call__(self, target: Target, parameters: Any, context: Context) -> Fault: ...


FAMILIES = (
    process,
    process_stop,
    process_loops,
    process_start,
    process_oom,
    host,
    resource_cpu,
    resource_memory,
    resource_descriptors,
    resource_disk,
    resource_disk_slow,
    cache,
    cache_entries,
    cache_load,
    cache_stampede,
    network,
    network_pace,
    network_cut,
    network_bytes,
    network_names,
    http,
    llm,
    embedding,
    vector,
    deploy,
    release,
    clock,
    credentials,
    credentials_tls,
    observability,
    load,
    database,
    database_sessions,
    database_pool,
    database_stale,
    data_rows,
    data_documents,
    data_uploads,
)
"""Each has `FAULTS`, the classes of its faults, in the order in which they are listed."""
OWN: tuple[Any, ...] = tuple(kind for family in FAMILIES for kind in family.FAULTS)
THIRD_PARTY = announced({kind.spec.name for kind in OWN})
BROKEN: Mapping[str, str] = THIRD_PARTY.broken
"""Faults of other distributions that cannot be used, and why."""
CLASSES: tuple[Any, ...] = (*OWN, *THIRD_PARTY.classes)
BY_NAME: Mapping[str, FaultClass] = {kind.spec.name: kind for kind in CLASSES}
CATALOG: Mapping[str, FaultSpec] = {name: kind.spec for name, kind in BY_NAME.items()}
_MESHED_CATALOG: Mapping[str, FaultSpec] = {**CATALOG, **mesh.SPECS}


def catalog_of(capabilities: Collection[str]) -> Mapping[str, FaultSpec]:
    """The catalogue as a stack with these capabilities has it: with Chaos Mesh, some faults are done and proved by other means."""
    return _MESHED_CATALOG if "Meshed" in capabilities else CATALOG


def _as_meshed(spec: FaultSpec, capabilities: Collection[str]) -> FaultSpec:
    return mesh.SPECS.get(spec.name, spec) if "Meshed" in capabilities else spec


def _class_of(name: str, capabilities: Collection[str]) -> FaultClass | None:
    if "Meshed" in capabilities and name in mesh.CLASSES:
        return cast(FaultClass, mesh.CLASSES[name])
    return BY_NAME.get(name)


def build(use: FaultUse, context: Context) -> KnownFault:
    """The fault of a scenario's entry, its target resolved, with its truth. `context` is the run's; id and time to live come from `use`.

    Raises FaultError for what the running stack cannot take; `gauntlet check` has refused the rest before.
    """
    kind = _class_of(use.type, context.stack.info.capabilities)
    if kind is None:
        raise FaultError(f"no such fault: {use.type!r}; known: {', '.join(sorted(BY_NAME))}")
    ttl_s = UNBOUNDED_TTL_S if use.for_s is None else use.for_s + TTL_MARGIN_S
    target = _target(use.target, kind.spec, context.stack.info)
    try:
        parameters: FaultParameters = kind.spec.parameters.model_validate(use.with_)
    except ValidationError as error:
        raise FaultError(f"{use.id}: {error}") from error
    for instance in _touched(context, target.service):
        if target.instance in (None, instance.name):
            refuse_foreign(context.stack, instance, context.allowed_hosts)
    fault = _one_or_more(kind, use, target, parameters, replace(context, fault_id=use.id, ttl_s=ttl_s))
    return KnownFault(fault, lambda: truth(use.id, fault, context.stack.info))


def _touched(context: Context, target: str) -> Sequence[Instance]:
    """Instances that belong to a target: of a service, or on a host; the run's own receiver of alerts has none."""
    if target == ALERT_WEBHOOK:
        return ()
    return host.instances_on(context, target) if target in context.stack.info.hosts else context.stack.instances(target)


def _one_or_more(kind: FaultClass, use: FaultUse, target: Target, parameters: FaultParameters, context: Context) -> Fault:
    """The fault of as many instances as asked for, drawn with the scenario's seed. Raises FaultError for none, or more than there are."""
    if target.instance is not None or target.edge is not None or "instance" not in kind.spec.targets:
        return kind(target, parameters, context)
    names = sorted(instance.name for instance in context.stack.instances(target.service))
    if not names:
        raise FaultError(f"{target.service} has no instance: a fault must never have zero targets")
    try:
        count = how_many(use.instances, target.service, len(names))
    except ValueError as error:
        raise FaultError(str(error)) from error
    if count == 1:
        return kind(target, parameters, context)
    chosen = sorted(context.random.sample(names, count))
    return GroupFault({name: kind(Target(target.service, name), parameters, _of_member(context, name)) for name in chosen})


def _of_member(context: Context, instance: str) -> Context:
    """In tables each member has an entry of its own."""
    return replace(context, fault_id=f"{context.fault_id}.{instance}")


def truth(fault_id: str, fault: Fault, info: StackInfo) -> dict[str, Any]:
    """What the `intended` event says: everything that scorers may know of a fault (read by `record.views`).

    `fault_kind`, because `kind` is the event's own.
    """
    spec, target = fault.spec, fault.target
    named = "->".join(target.edge) if target.edge else target.service
    origin = target.edge[0] if target.edge else target.service  # of a slow edge, only those before it feel anything
    on_host = fault.victims() if isinstance(fault, host.HostFault) else ()
    lost = sorted({instance.service for instance in on_host})
    radius = {
        target.service,
        origin,
        named,
        *info.dependants(origin),
        *lost,
        *(above for service in lost for above in info.dependants(service)),
    }
    instances = list(fault.instances) if isinstance(fault, GroupFault) else [target.instance] if target.instance else []
    return {
        "id": fault_id,
        "type": spec.name,
        "fault_kind": spec.kind,
        "service": target.service,
        "edge": list(target.edge) if target.edge else None,
        "instance": target.instance,
        "instances": instances or [instance.name for instance in on_host],
        "accepted": [named, *lost],
        "blast_radius": sorted(radius),
        "recoverable_by": list(spec.recoverable_by),
        "benign": spec.benign,
    }


def describe(spec: FaultSpec, stacks: Mapping[str, frozenset[str]]) -> dict[str, Any]:
    """One fault for people and programs: `gauntlet faults list|show`. `stacks` are capabilities by kind of stack.

    Of each stack it is told what it lacks for this fault; nothing, where it can take it.
    """
    schema = spec.parameters.model_json_schema()
    required = set(schema.get("required", ()))
    return {
        "name": spec.name,
        "family": spec.family,
        "summary": spec.summary,
        "kind": spec.kind,
        "benign": spec.benign,
        "targets": list(spec.targets),
        "services": list(spec.only_services) or "any",
        "roles": list(spec.only_roles) or "any",
        "needs": list(spec.needs),
        "either": list(spec.either),
        "stacks": {name: _lacking(_as_meshed(spec, capabilities), capabilities) for name, capabilities in stacks.items()},
        "parameters": [_parameter(name, field, name in required) for name, field in schema.get("properties", {}).items()],
        "recoverable_by": list(spec.recoverable_by),
        "evidence": spec.evidence,
        "example": spec.example,
    }


def _lacking(spec: FaultSpec, capabilities: frozenset[str]) -> list[str]:
    if spec.fits(capabilities):
        return []
    return sorted(set(spec.needs) - capabilities) or [" or ".join(spec.either)]


def _parameter(name: str, field: Mapping[str, Any], required: bool) -> dict[str, Any]:
    return {
        "name": name,
        "unit": field.get("unit") or " | ".join(field.get("enum", ())) or field.get("type"),
        "required": required,
        "default": field.get("default"),
        "description": field.get("description", ""),
    }


def _target(text: str, spec: FaultSpec, info: StackInfo) -> Target:
    try:
        found = parse_target(text, info)
    except ValueError as error:
        raise FaultError(str(error)) from error
    if found.shape not in spec.targets:
        raise FaultError(
            f"{spec.name} goes to {' or '.join(spec.targets)}; {text!r} is {'an' if found.shape[0] in 'ei' else 'a'} {found.shape}"
        )
    if spec.only_services and found.service not in spec.only_services:
        raise FaultError(f"{spec.name} goes to {' or '.join(spec.only_services)}, not to {found.service}")
    if spec.only_roles and info.role(found.service) not in spec.only_roles:
        raise FaultError(
            f"{spec.name} goes to what speaks {' or '.join(spec.only_roles)}; {found.service} speaks {info.role(found.service)}"
        )
    return Target(found.service, found.instance, found.edge)
