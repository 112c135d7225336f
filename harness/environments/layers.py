"""Layers of YAML laid on one another, each value with the place that it came from.

`base.yaml` comes first, then the file of the environment. Mappings are merged key by key; everything else is replaced whole. `${NAME}` in a
text is a variable of the process, `${NAME:-otherwise}` one that may be absent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.scenario.document import Kind, parse
from harness.scenario.loader import read_text
from harness.scenario.problem import START, KeyPath, Position, Positions, Problem, ScenarioError, did_you_mean

LAYER = Kind("an environment", "write `strategy: rolling`; see docs/environments.md", "begin with `strategy: rolling`")
BASE = "base"
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_REFERENCE = re.compile(r"^(env|file):")


class LayersError(ScenarioError):
    """Layers that cannot be used; `problems` holds at least one."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value or key stands."""

    path: str
    position: Position


@dataclass(frozen=True, slots=True)
class Layered:
    """What all layers together say, and where each part of it was said last."""

    name: str
    data: Mapping[str, Any]
    values: Mapping[KeyPath, Place]
    files: Sequence[str]

    def problem(self, where: KeyPath, message: str, hint: str) -> Problem:
        """At the value, or the nearest thing around it."""
        while where and where not in self.values:
            where = where[:-1]
        place = self.values.get(where, Place(self.files[-1], START))
        return Problem(place.path, place.position.line, place.position.column, message, hint)


def known(folder: Path) -> list[str]:
    """The environments of a folder."""
    return sorted(file.stem for file in folder.glob("*.yaml") if file.stem != BASE)


def read(folder: Path, name: str, variables: Mapping[str, str]) -> Layered:
    """Raises LayersError with file, line and column."""
    own = folder / f"{name}.yaml"
    if not own.is_file():
        message = f"there is no environment {name!r} in {folder}"
        raise LayersError([Problem(str(own), 1, 1, message, did_you_mean(name, known(folder)))])
    files = [file for file in (folder / f"{BASE}.yaml", own) if file.is_file()]
    data: dict[str, Any] = {}
    values: dict[KeyPath, Place] = {}
    problems: list[Problem] = []
    for file in files:
        try:
            layer, positions = parse(read_text(file), str(file), LAYER)
        except ScenarioError as error:
            raise LayersError(error.problems) from None
        filled = _filled(layer, (), str(file), positions, variables, problems)
        data = _laid(data, filled, (), values, str(file), positions)
    if problems:
        raise LayersError(problems)
    return Layered(name, data, values, [str(file) for file in files])


def _laid(
    below: Mapping[str, Any], above: Mapping[str, Any], at: KeyPath, values: dict[KeyPath, Place], file: str, positions: Positions
) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        where = (*at, key)
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _laid(merged[key], value, where, values, file, positions)
            continue
        for old in [path for path in values if path[: len(where)] == where]:
            del values[old]
        merged[key] = value
        _note(value, where, values, file, positions)
    return merged


def _note(value: Any, where: KeyPath, values: dict[KeyPath, Place], file: str, positions: Positions) -> None:
    values[where] = Place(file, positions.value(where))
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        _note(child, (*where, key), values, file, positions)


def _filled(value: Any, at: KeyPath, file: str, positions: Positions, variables: Mapping[str, str], problems: list[Problem]) -> Any:
    """With the variables of the process in place. A reference to a secret is left as it is: nobody reads it here."""
    if isinstance(value, dict):
        return {key: _filled(child, (*at, key), file, positions, variables, problems) for key, child in value.items()}
    if isinstance(value, list):
        return [_filled(child, (*at, n), file, positions, variables, problems) for n, child in enumerate(value)]
    if not isinstance(value, str) or _REFERENCE.match(value):
        return value

    def put(match: re.Match[str]) -> str:
        found = variables.get(match[1])
        if found is None and match[2] is None:
            place = positions.value(at)
            hint = f"set it, or write ${{{match[1]}:-otherwise}}"
            problems.append(Problem(file, place.line, place.column, f"the variable {match[1]} is not set", hint))
        return found if found is not None else match[2] or ""

    return _VARIABLE.sub(put, value)
