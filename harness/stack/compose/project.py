"""What is run of a user's compose file: the file as compose resolves it, with what a run must have otherwise. Pure: nothing is started.

Their file is never touched, and neither is what a project of theirs holds that runs beside: names of containers, networks and volumes are
the run's own, and ports are published on loopback alone, for the services that the scenario maps.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.scenario.model import StackSpec
from harness.scenario.problem import did_you_mean
from harness.scenario.services import LLM, ComposeService
from harness.stack.base import StackError
from harness.stack.ports import LOOPBACK
from harness.sweep_containers import RUN_LABEL

REACH = "gauntlet-reach"
"""A network for services that are on internal ones alone, whose ports nobody can publish; it leads nowhere else."""
_NO_WAY_OUT = {"com.docker.network.bridge.enable_ip_masquerade": "false"}

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Beside:
    """A service of ours that runs in the project: all that compose must know of it but where it is attached."""

    name: str
    definition: Mapping[str, Any]
    stands_for: tuple[str, str] | None = None  # (caller, callee), of a proxy


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of a project. `ports` are of this machine's loopback, by service; `llm_url` and `llm_key` fill the placeholders."""

    run_id: str
    ports: Mapping[str, int]
    memory_bytes: int  # of this machine: a limit that can be put back, where the file sets none
    beside: Sequence[Beside] = field(default_factory=tuple)
    llm_url: str = ""
    llm_key: str = ""


def project(resolved: Mapping[str, Any], spec: StackSpec, plan: Plan) -> Document:
    """The document to bring up. `resolved` is what `docker compose config` prints. Raises StackError for what cannot be run this way."""
    check(resolved, spec)
    document = copy.deepcopy(dict(resolved))
    owner = str(document.pop("name", "project"))
    services: Document = document["services"]
    labels = {RUN_LABEL: plan.run_id}
    for name, service in services.items():
        _make_ours(name, service, owner, labels)
    for name, mapped in spec.composed.items():
        _map(services[name], mapped, plan, plan.ports[name], uses_llm=spec.llm)
    for kind in ("networks", "volumes"):
        document[kind] = {key: _renamed(entry or {}, labels) for key, entry in (document.get(kind) or {}).items()}
    _make_reachable(document, [services[name] for name in spec.composed], labels)
    for one in plan.beside:
        services[one.name] = {**one.definition, "labels": labels, **_attached(one, services, document["networks"])}
        if one.stands_for is not None:
            _lead_through(one, *one.stands_for, services)
    return document


def check(resolved: Mapping[str, Any], spec: StackSpec) -> None:
    """That the file has what the scenario maps. Raises StackError for the first thing that does not fit."""
    for _, message in misfits(resolved, spec):
        raise StackError(message)


def misfits(resolved: Mapping[str, Any], spec: StackSpec) -> Iterator[tuple[str | None, str]]:
    """(service or None, what does not fit; what to write) for everything about the file that the scenario's `stack` is at odds with."""
    services = resolved.get("services") or {}
    for name in spec.composed:
        if name not in services:
            yield name, f"{spec.file} has no service {name!r}; {did_you_mean(name, services)}"
        elif mode := services[name].get("network_mode"):
            yield name, f"{name!r} runs with network_mode {mode!r}, where no port of its own can be published; map another service"
    if spec.llm and LLM in services:
        yield None, f"{spec.file} has a service {LLM!r} itself, the name of the mock; drop `llm: true`, or map theirs with `role: llm`"


def unescaped(value: object) -> str:
    """A value of a resolved document as the container sees it."""
    return str(value).replace("$$", "$")


def _make_ours(name: str, service: Document, owner: str, labels: Mapping[str, str]) -> None:
    """Nothing that a project of theirs has as well, and no port for the world; whoever knew its container's name still finds it."""
    known_as = service.pop("container_name", None)
    if known_as is not None:
        for network, attached in _networks_of(service).items():
            service["networks"][network] = {**(attached or {}), "aliases": [*(attached or {}).get("aliases", ()), known_as]}
    if "build" in service and "image" not in service:
        service["image"] = f"{owner}-{name}"  # as compose itself would call it in their project: what is built there is used
    service.pop("ports", None)
    service["labels"] = {**(service.get("labels") or {}), **labels}


def _map(service: Document, mapped: ComposeService, plan: Plan, port: int, *, uses_llm: bool) -> None:
    """One instance, reached from this machine; further ones are made beside it."""
    service.pop("scale", None)
    (service.get("deploy") or {}).pop("replicas", None)
    service["ports"] = [published(port, mapped.listens_on)]
    if not _limits_memory(service):
        service["mem_limit"] = service["memswap_limit"] = str(plan.memory_bytes)
    if mapped.environment:
        words = {"{llm}": plan.llm_url, "{llm_key}": plan.llm_key} if uses_llm else {}
        given = {name: _filled(value, words).replace("$", "$$") for name, value in mapped.environment.items()}
        service["environment"] = {**(service.get("environment") or {}), **given}
        if any(word in value for word in words for value in mapped.environment.values()):
            service["depends_on"] = {**(service.get("depends_on") or {}), LLM: {"condition": "service_started", "required": True}}


def _filled(value: str, words: Mapping[str, str]) -> str:
    for word, meaning in words.items():
        value = value.replace(word, meaning)
    return value


def published(port: int, inside: int) -> Document:
    """An entry of `ports`: on loopback, and at a fixed port, which a container that is started again has again."""
    return {"mode": "ingress", "host_ip": LOOPBACK, "target": inside, "published": str(port), "protocol": "tcp"}


def _limits_memory(service: Mapping[str, Any]) -> bool:
    resources = (service.get("deploy") or {}).get("resources") or {}
    return "mem_limit" in service or "memory" in (resources.get("limits") or {})


def _renamed(entry: Mapping[str, Any], labels: Mapping[str, str]) -> Document:
    """Without the name that it has in their project; what is external belongs to others, and stays as it is."""
    if entry.get("external"):
        return dict(entry)
    return {**{key: value for key, value in entry.items() if key != "name"}, "labels": {**(entry.get("labels") or {}), **labels}}


def _make_reachable(document: Document, mapped: Sequence[Document], labels: Mapping[str, str]) -> None:
    hidden = [service for service in mapped if all(document["networks"][name].get("internal") for name in _networks_of(service))]
    if hidden:
        document["networks"][REACH] = {"driver_opts": _NO_WAY_OUT, "labels": dict(labels)}
    for service in hidden:
        service["networks"] = {**_networks_of(service), REACH: None}


def _attached(one: Beside, services: Mapping[str, Any], networks: Mapping[str, Any]) -> Document:
    """A mock is wherever somebody could ask for it; a proxy where its caller is, and where its callee is."""
    if one.stands_for is None:
        return {"networks": dict.fromkeys(networks)}
    return {"networks": {name: None for end in one.stands_for for name in _networks_of(services[end])}}


def _lead_through(one: Beside, caller: str, callee: str, services: Document) -> None:
    """Let the caller find the proxy under every name that the callee has for it: a link goes before what the network knows."""
    attached = [entry or {} for entry in _networks_of(services[callee]).values()]
    names = dict.fromkeys([callee, *(alias for entry in attached for alias in entry.get("aliases") or ())])
    asking = services[caller]
    theirs = [link for link in asking.get("links") or () if link.rpartition(":")[2] not in names]
    asking["links"] = [*theirs, *(f"{one.name}:{name}" for name in names)]


def _networks_of(service: Mapping[str, Any]) -> Document:
    return dict(service.get("networks") or {})
