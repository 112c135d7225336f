"""The compose stack: its file, its services and its mock LLM, and that no other stack is given them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.scenario.catalog import StackInfo
from harness.scenario.loader import Loaded
from harness.scenario.problem import KeyPath, Problem, did_you_mean
from harness.scenario.services import LLM

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_KNOWN = ("llm", "llm_key")


def check_composed(loaded: Loaded, stack: StackInfo) -> Iterator[Problem]:
    """Everything about `stack` that needs no look at the compose file."""
    spec = loaded.scenario.stack
    if spec.use != "compose":
        for key, is_given in {"file": spec.file is not None, "llm": spec.llm}.items():
            if is_given:
                yield loaded.at_key(("stack", key), f"`{key}` is for a compose stack", f"drop `{key}`, or write `use: compose`")
        return
    if spec.file is None:
        yield loaded.at(("stack",), "a compose stack without its file cannot be started", "write `file: compose.yaml`")
    if not spec.services:
        hint = "name them: services: {web: {port: 8080, health: /health, entry: true}}"
        yield loaded.at(("stack",), "a compose stack none of whose services is named cannot be loaded or watched", hint)
    if spec.tls:
        yield loaded.at_key(("stack", "tls"), "`tls` is for the reference stack", "drop `tls`")
    if spec.vector_store != "pgvector":
        yield loaded.at_key(("stack", "vector_store"), "`vector_store` is for the reference stack", "drop `vector_store`")
    yield from _replicas(loaded, stack)
    yield from _services(loaded)


def _replicas(loaded: Loaded, stack: StackInfo) -> Iterator[Problem]:
    spec = loaded.scenario.stack
    for name, count in spec.replicas.items():
        where: KeyPath = ("stack", "replicas", name)
        if name not in spec.services:
            yield loaded.at_key(where, f"the stack has no service {name!r}", did_you_mean(name, spec.services))
        elif count > 1 and not stack.acts("Scalable", name):
            message = f"{name!r} speaks {stack.role(name)}: a second one beside it would hold other data, or the same"
            yield loaded.at(where, message, "leave it out; services that speak http can have replicas")


def _services(loaded: Loaded) -> Iterator[Problem]:
    spec = loaded.scenario.stack
    if spec.llm and LLM in spec.services:
        yield loaded.at_key(("stack", "services", LLM), "`llm: true` brings a service of that name", f"drop it, or `{LLM}: true`")
    entries = [name for name, service in spec.composed.items() if service.entry]
    for name in entries[1:]:
        yield loaded.at_key(("stack", "services", name, "entry"), f"the load goes to {entries[0]!r} already", "keep one `entry`")
    for name, service in spec.composed.items():
        where: KeyPath = ("stack", "services", name)
        for key in ("health", "metrics"):
            path = getattr(service, key)
            if path is not None and not path.startswith("/"):
                yield loaded.at((*where, key), f"{path!r} is no path", 'write a path from the root: "/health"')
            elif path is not None and service.role in ("postgres", "redis"):
                yield loaded.at_key((*where, key), f"what speaks {service.role} is asked in its own words", f"drop `{key}`")
        for variable, value in service.environment.items():
            yield from _placeholders(loaded, value, (*where, "environment", variable))


def _placeholders(loaded: Loaded, value: str, where: KeyPath) -> Iterator[Problem]:
    for word in _PLACEHOLDER.findall(value):
        if word in _KNOWN and not loaded.scenario.stack.llm:
            yield loaded.at(where, f"{{{word}}} is of the mock LLM, and there is none", "add `llm: true` to `stack`")
