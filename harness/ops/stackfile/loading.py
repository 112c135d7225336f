"""A STACK.yaml to a `StackFile`, or to problems with file, line and column: never a traceback."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from harness.ops.stackfile.model import SCHEMES, Health, Service, StackDocument
from harness.ops.stackfile.profiles import PROFILES, Profile
from harness.ops.targets import Targets, targets_of
from harness.scenario.document import Kind, parse
from harness.scenario.explain import problems_of
from harness.scenario.problem import KeyPath, Positions, Problem, ScenarioError, did_you_mean

MAX_BYTES = 1 << 20
STACK = Kind("a STACK.yaml", "write `services:` with the address of each; see docs/watch.md", "begin with `services:`")
_VARIABLE = re.compile(r"\$\{(\w+)\}")


class StackFileError(ScenarioError):
    """A STACK.yaml that cannot be used; `problems` holds at least one."""


@dataclass(frozen=True, slots=True)
class StackFile:
    """A deployment: what is in its file, and what the operator makes of it."""

    path: str
    document: StackDocument
    targets: Targets

    def health_of(self, service: str) -> Health:
        """How the service wants to be asked."""
        found = self.document.services[service]
        how = found.health if isinstance(found.health, Health) else Health(url=found.health)
        if found.health is None and "health" in found.model_fields_set:  # it has none: that it answers at all must do
            how = Health(path="/", status="any")
        own = self.targets.trusted
        return how if how.trusted is not None or own is None else how.model_copy(update={"trusted": str(own)})

    @property
    def profile(self) -> Profile:
        """The figures of its profile, and its own before them."""
        own, profile = self.document, PROFILES[self.document.profile]
        given = {
            "every_s": own.every,
            "keep_s": own.keep,
            "health_every_s": own.health_every,
            "detect_every_s": own.detect_every,
            "forecast_every_s": own.forecasts.every,
            "forecast_limits": own.forecasts.limits,
        }
        detectors = {key: name for key, name in {**profile.detectors, **own.detectors}.items() if name is not None}
        set_here: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        return replace(profile, **set_here, detectors=detectors, gathers=own.prometheus is not None)

    @property
    def dry(self) -> bool:
        """Nobody performs actions: they are only told."""
        return self.targets.actions_url is None


def load_stack(path: Path, environment: Mapping[str, str] | None = None) -> StackFile:
    """Read one file (UTF-8 YAML, at most 1 MiB). Raises StackFileError."""
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise _refused(path, f"byte {error.start} is not UTF-8", "save the file as UTF-8", line) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise _refused(path, f"cannot be read: {reason}", "give the path of a STACK.yaml; see docs/watch.md") from None
    if len(data) > MAX_BYTES:
        raise _refused(path, f"larger than {MAX_BYTES // 1024} KiB", "is this the right file?")
    return stack_of_text(text, str(path), environment)


def stack_of_text(text: str, path: str = "<text>", environment: Mapping[str, str] | None = None) -> StackFile:
    """The same from text; `path` is what problems call it. Raises StackFileError."""
    try:
        data, positions = parse(text, path, STACK)
        return _stack(data, positions, path, os.environ if environment is None else environment)
    except StackFileError:
        raise
    except ScenarioError as error:
        raise StackFileError(error.problems) from None


def _stack(data: Mapping[str, Any], positions: Positions, path: str, environment: Mapping[str, str]) -> StackFile:
    try:
        document = StackDocument.model_validate(data)
    except ValidationError as error:
        raise StackFileError(problems_of(error, StackDocument, data, positions, path)) from None
    found = [
        Problem(path, at.line, at.column, message, hint)
        for where, message, hint in _Check(document, environment).all()
        for at in (positions.value(where),)
    ]
    if found:
        raise StackFileError(sorted(found, key=lambda p: (p.line, p.column, p.message)))
    return StackFile(path, document, targets_of(_for_operator(document, environment, Path(path)), Path(path)))


class _Check:
    """What no single field shows: (where, what, what to write instead)."""

    def __init__(self, document: StackDocument, environment: Mapping[str, str]) -> None:
        self._document = document
        self._environment = environment

    def all(self) -> Iterator[tuple[KeyPath, str, str]]:
        names = self._document.services
        for name, service in names.items():
            yield from self._address(name, service)
            for n, callee in enumerate(service.calls):
                yield from self._known(("services", name, "calls", n), callee)
        yield from self._named()
        for name, rate_per_s in self._document.capacity.items():
            yield from self._known(("capacity", name), name)
            if rate_per_s == 0:
                yield ("capacity", name), "a capacity of nothing is never used", "write what a sweep sustained, such as 120/s"
        if self._document.token_env and self._document.token_env not in self._environment:
            yield ("token_env",), f"the variable {self._document.token_env} is not set", "set it, or take the key out"
        yield from self._gathered()
        for key in self._document.detectors:
            subject, slash, _ = key.partition("/")
            if not slash:
                yield ("detectors", key), f"{key!r} names no reading", "write SERVICE/READING, or */READING for all"
            elif subject not in ("*", "host", "client"):
                yield from self._known(("detectors", key), subject)

    def _named(self) -> Iterator[tuple[KeyPath, str, str]]:
        """Services that are named elsewhere."""
        for n, edge in enumerate(self._document.edges):
            for k, end in enumerate(edge):
                yield from self._known(("edges", n, k), end)
        for name in self._document.static:
            yield from self._known(("static", name), name)
        for question, name in self._document.canaries.items():
            yield from self._known(("canaries", question), name)

    def _gathered(self) -> Iterator[tuple[KeyPath, str, str]]:
        """Who has scraped, where it is not us."""
        prometheus, name = self._document.prometheus, self._document.profile
        if prometheus is None and PROFILES[name].gathers:
            hint = f'write `prometheus: {{urls: ["http://host:9090"]}}`, or another profile than {name}'
            yield ("profile",), f"{name} gathers what Prometheus servers have scraped, and none is named", hint
        if prometheus is not None and prometheus.token_env and prometheus.token_env not in self._environment:
            yield ("prometheus", "token_env"), f"the variable {prometheus.token_env} is not set", "set it, or take the key out"

    def _known(self, where: KeyPath, name: str) -> Iterator[tuple[KeyPath, str, str]]:
        if name not in self._document.services:
            yield where, f"there is no service {name!r}", did_you_mean(name, self._document.services)

    def _address(self, name: str, service: Service) -> Iterator[tuple[KeyPath, str, str]]:
        where: KeyPath = ("services", name)
        if service.url_env and service.url_env not in self._environment:
            yield (*where, "url_env"), f"the variable {service.url_env} is not set", "set it before the start"
            return
        addresses = _addresses(self._document, name, self._environment)
        if not addresses and not self._document.registry:
            yield where, f"nothing says where {name} is", "write its url"
        for key, address in addresses:
            wanted = SCHEMES.get(service.kind, ("http", "https"))
            if urlsplit(address).scheme not in wanted:
                yield (*where, *key), f"{_masked(address)} is no address of kind {service.kind}", f"write {wanted[0]}://…"
        health = service.health if isinstance(service.health, Health) else Health()
        for header, value in health.headers.items():
            for variable in _VARIABLE.findall(value):
                if variable not in self._environment:
                    yield (*where, "health", "headers", header), f"the variable {variable} is not set", "set it before the start"


def _addresses(document: StackDocument, name: str, environment: Mapping[str, str]) -> list[tuple[KeyPath, str]]:
    """Every address of a service, and where below it that is written."""
    service = document.services[name]
    if service.url_env:
        return [(("url_env",), environment[service.url_env])]
    own: list[tuple[KeyPath, str]] = [(("url",), service.url)] if service.url else []
    several: list[tuple[KeyPath, str]] = [(("urls", n), url) for n, url in enumerate(service.urls)]
    return own + several + [((), url) for url in document.static.get(name, [])]


def _for_operator(document: StackDocument, environment: Mapping[str, str], path: Path) -> dict[str, Any]:
    """As targets.yaml has it: addresses are static, and who calls whom is a list of edges."""
    services = {name: s.model_dump(include={"kind", "critical", "metrics"}, exclude_unset=True) for name, s in document.services.items()}
    edges = [*document.edges, *([name, callee] for name, service in document.services.items() for callee in service.calls)]
    static = {name: [url.rstrip("/") for _, url in _addresses(document, name, environment)] for name in document.services}
    return {
        "services": services,
        "registry": str(path.parent / document.registry) if document.registry else None,
        "static": {name: urls for name, urls in static.items() if urls},
        "edges": [list(edge) for edge in dict.fromkeys(tuple(edge) for edge in edges)],
        "client": document.client.model_dump(),
        "slos": document.slos,
        "claims": document.claims.model_dump(exclude_none=True),
        "actions": document.actions.model_dump() if document.actions else None,
        "trusted": str(path.parent / document.trusted) if document.trusted else None,
        "token": environment[document.token_env] if document.token_env else document.token,
        "canaries": document.canaries,
        "recovery": document.recovery.model_dump(exclude_none=True),
        "rules": document.rules,
        "notify": document.notify,
        "time_scale": document.time_scale,
    }


def expanded(value: str, environment: Mapping[str, str]) -> str:
    """`Bearer ${KEY}` with what the environment says."""
    return _VARIABLE.sub(lambda match: environment.get(match[1], ""), value)


def _masked(url: str) -> str:
    """An address without its password."""
    parts = urlsplit(url)
    if parts.password is None:
        return repr(url)
    return repr(url.replace(f":{parts.password}@", ":…@", 1))


def _refused(path: Path, message: str, hint: str, line: int = 1) -> StackFileError:
    return StackFileError([Problem(str(path), line, 1, message, hint)])
