"""`${steps.ID.NAME}` and `${env.NAME}` in what a step is given: found before anything starts, filled in when the step begins.

`$${` stands for a plain `${`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.scenario.problem import KeyPath

_REFERENCE = re.compile(r"(?<!\$)\$\{([^{}]*)\}")
_STEP = re.compile(r"steps\.([a-z0-9-]+)\.(\w+)")
_ENVIRONMENT = re.compile(r"env\.(\w+)")
INSTEAD = "write ${steps.ID.NAME} for what a step handed on, ${env.NAME} for a variable of the environment, $${ for a plain ${"


@dataclass(frozen=True, slots=True)
class Reference:
    """One of them. `step` is empty for a variable of the environment; both are, for what is neither."""

    text: str
    step: str = ""
    name: str = ""


class UnresolvedError(ValueError):
    """A reference to something that is not there."""


def references(value: Any, at: KeyPath = ()) -> Iterator[tuple[KeyPath, Reference]]:
    """Each reference in nested data, and where it stands."""
    if isinstance(value, str):
        yield from ((at, _read(text)) for text in _REFERENCE.findall(value))
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from references(inner, (*at, key))
    elif isinstance(value, list):
        for n, inner in enumerate(value):
            yield from references(inner, (*at, n))


def resolved(value: Any, outputs: Mapping[str, Mapping[str, str]], environment: Mapping[str, str]) -> Any:
    """The same data with every reference filled in. Raises UnresolvedError."""
    if isinstance(value, str):
        return _REFERENCE.sub(lambda match: _found(_read(match[1]), outputs, environment), value).replace("$${", "${")
    if isinstance(value, Mapping):
        return {key: resolved(inner, outputs, environment) for key, inner in value.items()}
    if isinstance(value, list):
        return [resolved(inner, outputs, environment) for inner in value]
    return value


def _read(text: str) -> Reference:
    if match := _STEP.fullmatch(text.strip()):
        return Reference(text, match[1], match[2])
    if match := _ENVIRONMENT.fullmatch(text.strip()):
        return Reference(text, "", match[1])
    return Reference(text)


def _found(reference: Reference, outputs: Mapping[str, Mapping[str, str]], environment: Mapping[str, str]) -> str:
    where = outputs.get(reference.step, {}) if reference.step else environment
    if reference.name not in where:
        there = f"; there are {', '.join(sorted(where))}" if reference.step and where else ""
        raise UnresolvedError(f"${{{reference.text}}} is not there{there}")
    return where[reference.name]
