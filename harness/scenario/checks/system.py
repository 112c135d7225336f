"""The stack and the load: services, hosts, journeys, and a shape that fills the phases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from harness.scenario.catalog import StackInfo
from harness.scenario.checks.composed import check_composed
from harness.scenario.checks.shape import check_shape
from harness.scenario.hosts import is_loopback
from harness.scenario.loader import Loaded
from harness.scenario.problem import KeyPath, Problem, did_you_mean


def check_stack(loaded: Loaded, stack: StackInfo) -> Iterator[Problem]:
    """Everything about `stack`."""
    spec = loaded.scenario.stack
    if spec.use == "external" and not spec.services:
        hint = 'name them: services: {gateway: {url: "http://127.0.0.1:8000"}}'
        yield loaded.at(("stack",), "an external stack without services cannot be reached", hint)
    if spec.use == "reference" and spec.services:
        yield loaded.at_key(("stack", "services"), "the reference stack brings its own services", "write `use: external` for yours")
    if spec.cluster is not None and (spec.use != "reference" or spec.driver != "kubernetes"):
        hint = "add `driver: kubernetes`, or drop `cluster`" if spec.use == "reference" else "drop `cluster`"
        yield loaded.at_key(("stack", "cluster"), "`cluster` says where the driver `kubernetes` of the reference stack works", hint)
    yield from check_composed(loaded, stack)
    if spec.use != "compose":
        yield from _choices(loaded, stack)
    for n, edge in enumerate(spec.edges):
        for m, name in enumerate(edge):
            if name not in stack.services:
                message = f"the stack has no service {name!r}"
                yield loaded.at(("stack", "edges", n, m), message, did_you_mean(name, stack.services))
    for name, service in spec.by_url.items():
        for key in ("url", "metrics", "health", "admin"):
            schemes = _SCHEMES.get(service.role, _HTTP) if key == "url" else _HTTP
            yield from _url(loaded, getattr(service, key), ("stack", "services", name, key), schemes)


def _choices(loaded: Loaded, stack: StackInfo) -> Iterator[Problem]:
    """What may be chosen about the reference stack, and about no other."""
    spec = loaded.scenario.stack
    if spec.use == "external":
        for key, is_given in {"replicas": bool(spec.replicas), "vector_store": spec.vector_store != "pgvector", "tls": spec.tls}.items():
            if is_given:
                yield loaded.at_key(("stack", key), f"`{key}` is for the reference stack; an external one has what it has", f"drop `{key}`")
        return
    for name in spec.replicas:
        if name not in stack.services:
            message = f"the stack has no service {name!r}"
            yield loaded.at_key(("stack", "replicas", name), message, did_you_mean(name, stack.services))


_HTTP = ("http", "https")
_SCHEMES: Mapping[str, tuple[str, ...]] = {"postgres": ("postgresql", "postgres"), "redis": ("redis", "valkey")}
_EXAMPLES = {"postgresql": "postgresql://user@127.0.0.1:5432/name", "redis": "redis://127.0.0.1:6379", "http": "http://127.0.0.1:8000"}


def _url(loaded: Loaded, url: str | None, where: KeyPath, schemes: tuple[str, ...]) -> Iterator[Problem]:
    """Load and faults stay on this machine unless the scenario says otherwise."""
    if url is None:
        return
    host = _host(url, schemes)
    if host is None:
        yield loaded.at(where, f"{url[:60]!r} is no {' or '.join(schemes)} URL", f'write "{_EXAMPLES[schemes[0]]}"')
    elif not is_loopback(host) and host not in loaded.scenario.stack.allow_hosts:
        message = f"{host!r} is not this machine; load and faults go to loopback addresses only"
        yield loaded.at(where, message, f"if it is yours to break, add `allow_hosts: [{host}]` to `stack`")


def _host(url: str, schemes: tuple[str, ...]) -> str | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for a port that is none
    except ValueError:
        return None
    return parts.hostname if parts.scheme in schemes and parts.hostname else None


def check_load(loaded: Loaded, stack: StackInfo) -> Iterator[Problem]:
    """Everything about `load`."""
    load = loaded.scenario.load
    known = [*stack.journeys, *load.journeys]
    mixes: list[tuple[KeyPath, dict[str, float]]] = [] if load.locustfile else [(("load", "mix"), load.mix)]
    mixes += [(("load", "shape", n, "mix"), s.mix) for n, s in enumerate(load.shape) if s.mix is not None]
    for where, mix in mixes:
        for name in mix:
            if name not in known:
                hint = did_you_mean(name, known) if known else "define it in `load.journeys`"
                yield loaded.at_key((*where, name), f"the stack {stack.name!r} has no journey {name!r}", hint)
    for name, journey in load.journeys.items():
        at: KeyPath = ("load", "journeys", name)
        if journey.service not in stack.services:
            message = f"the stack has no service {journey.service!r}"
            yield loaded.at((*at, "service"), message, did_you_mean(journey.service, stack.services))
        method = "get" if journey.get is not None else "post"
        if not str(getattr(journey, method)).startswith("/"):
            yield loaded.at((*at, method), f"{getattr(journey, method)!r} is no path", 'write a path from the root: "/api/ask"')
    if load.locustfile is not None and not Path(load.locustfile).is_file():
        yield loaded.at(("load", "locustfile"), f"{load.locustfile!r}: no such file", "write its path from the working directory")
    yield from check_shape(loaded, known)
