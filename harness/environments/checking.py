"""What cannot work about a configuration, told before anything starts with it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from harness.deploy.loading import unusable_url
from harness.environments import layers
from harness.environments.layers import Layered, LayersError
from harness.environments.model import Environment
from harness.scenario.explain import problems_of
from harness.scenario.problem import KeyPath, Positions, Problem, did_you_mean
from harness.stack.catalog import info_for
from harness.stack.topology import topology

Found = tuple[KeyPath, str, str]
_CLIENT = "client"
_SUSPECT = ("password", "secret", "token", "api_key", "apikey")


@dataclass(frozen=True, slots=True)
class LoadedEnvironment:
    """An environment, and where each part of it was said."""

    name: str
    environment: Environment
    layered: Layered


def load(folder: Path, name: str, variables: Mapping[str, str] | None = None) -> LoadedEnvironment:
    """Read and check one. Raises LayersError with everything that is wrong with it."""
    variables = os.environ if variables is None else variables
    layered = layers.read(folder, name, variables)
    try:
        environment = Environment.model_validate(dict(layered.data))
    except ValidationError as error:
        found = problems_of(error, Environment, layered.data, Positions({k: p.position for k, p in layered.values.items()}, {}), name)
        raise LayersError(_placed(error, found, layered)) from None
    problems = [layered.problem(*one) for one in _checks(environment, folder, variables)]
    if problems:
        raise LayersError(sorted(problems, key=lambda p: (p.path, p.line, p.column, p.message)))
    return LoadedEnvironment(name, environment, layered)


def _placed(error: ValidationError, found: list[Problem], layered: Layered) -> list[Problem]:
    """Pydantic's problems, each in the file of the layer that it comes from: positions alone do not tell two files apart."""
    places = {(p.position.line, p.position.column): p.path for p in layered.values.values()}
    wheres = [tuple(details["loc"]) for details in error.errors(include_url=False)]
    if len(wheres) == len(found) == 1:
        exact = layered.problem(wheres[0], found[0].message, found[0].hint)
        return [exact]
    return [Problem(places.get((p.line, p.column), layered.files[-1]), p.line, p.column, p.message, p.hint) for p in found]


def _checks(environment: Environment, folder: Path, variables: Mapping[str, str]) -> Iterator[Found]:
    yield from _urls(environment)
    yield from _timeouts(environment)
    yield from _pools(environment)
    yield from _vectors(environment)
    yield from _settings(environment)
    yield from _secrets(environment, folder, variables)
    if environment.deploy is not None and not (folder / environment.deploy).is_file():
        yield ("deploy",), f"there is no {folder / environment.deploy}", "name a deploy file; see docs/deploy.md"


def _urls(environment: Environment) -> Iterator[Found]:
    for name, url in environment.urls.items():
        if (reason := unusable_url(url)) is not None:
            yield ("urls", name), f"{name}: {reason}", "write it whole: scheme://host:port/…"
        elif "@" in url.partition("://")[2].partition("/")[0] and ":" in url.partition("://")[2].partition("@")[0]:
            yield ("urls", name), f"{name}: the URL holds a password", "put the password into `secrets`, by reference"


def _timeouts(environment: Environment) -> Iterator[Found]:
    """Who gives up first must be who waits for less: a caller that leaves earlier never hears the callee's own, better answer."""
    known = topology(environment.stack.vector_store)
    waits: dict[tuple[str, str], float] = {}
    for edge, length_s in environment.timeouts.items():
        caller, arrow, callee = edge.partition("->")
        if not arrow or ((caller, callee) not in known.edges and caller != _CLIENT):
            edges = [f"{_CLIENT}->gateway", *(f"{a}->{b}" for a, b in known.edges)]
            yield ("timeouts", edge), f"nobody calls {edge!r}", did_you_mean(edge, edges)
            continue
        waits[(caller, callee)] = length_s
    for (caller, callee), length_s in waits.items():
        for (next_caller, last), inner_s in waits.items():
            if next_caller == callee and inner_s >= length_s:
                message = f"{caller} waits {length_s:g}s for {callee}, which itself waits {inner_s:g}s for {last}"
                yield ("timeouts", f"{caller}->{callee}"), message, f"write more than {inner_s:g}s, or let {callee} wait for less"


def _pools(environment: Environment) -> Iterator[Found]:
    pools = environment.pools
    if pools is None:
        return
    services = info_for(environment.stack).services
    total = 0
    for name, size in pools.services.items():
        if name not in services:
            yield ("pools", "services", name), f"the stack has no service {name!r}", did_you_mean(name, services)
            continue
        copies = services[name] * (2 if environment.strategy != "rolling" else 1)
        total += size * copies
    free = pools.max_connections - pools.reserved
    if total > free:
        twice = " while both versions stand" if environment.strategy != "rolling" else ""
        message = f"the pools of all replicas take {total} connections{twice}, and the database has {free}"
        yield ("pools", "max_connections"), message, f"write {total + pools.reserved} or more, or smaller pools"


def _vectors(environment: Environment) -> Iterator[Found]:
    made, kept = environment.embedding, environment.collection
    if made is None or kept is None:
        return
    if made.dimension != kept.dimension:
        message = f"{made.model} makes vectors of {made.dimension} dimensions, and {kept.name} holds {kept.dimension}"
        yield ("embedding", "dimension"), message, "name the collection that was made with this model, or reindex into a new one"
    if made.distance != kept.distance:
        message = f"{made.model} is to be compared by {made.distance}, and {kept.name} by {kept.distance}"
        yield ("collection", "distance"), message, "a collection keeps its distance: reindex into a new one"


def _settings(environment: Environment) -> Iterator[Found]:
    services = info_for(environment.stack).services
    for part in ("settings", "secrets"):
        for service in getattr(environment, part):
            if service not in services:
                yield (part, service), f"the stack has no service {service!r}", did_you_mean(service, services)
    for service, variables in environment.settings.items():
        for name, value in variables.items():
            if any(word in name.lower() for word in _SUSPECT) and not name.lower().endswith(("_ttl_s", "_file")):
                yield ("settings", service, name), f"{name} looks like a secret", f"write it below `secrets`: {name}: env:{name}"
            elif name.endswith("_URL") and (reason := unusable_url(value)) is not None:
                yield ("settings", service, name), f"{name}: {reason}", "write it whole: scheme://host:port/…"


def _secrets(environment: Environment, folder: Path, variables: Mapping[str, str]) -> Iterator[Found]:
    """Whether each can be read here; its value is looked at by nobody."""
    for service, references in environment.secrets.items():
        for name, reference in references.items():
            scheme, _, rest = reference.partition(":")
            at: KeyPath = ("secrets", service, name)
            if scheme == "env" and not variables.get(rest):
                yield at, f"the variable {rest} is not set, or empty", "set it where this is deployed from"
            elif scheme == "file":
                yield from ((at, message, hint) for message, hint in _file(folder / rest))


def _file(path: Path) -> Iterator[tuple[str, str]]:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        yield f"{path}: {error.strerror}", "name a file that is there"
        return
    if not stat.S_ISREG(mode):
        yield f"{path} is no regular file", "name the file of the secret"
    elif mode & 0o077:
        yield f"{path} can be read by others ({stat.filemode(mode)})", f"chmod 600 {path}"
