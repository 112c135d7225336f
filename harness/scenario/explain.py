"""Pydantic's errors in the words of a scenario's author, at the place in the file where each belongs."""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from harness.scenario.problem import KeyPath, Positions, Problem, did_you_mean

_KEY = "[key]"  # pydantic's mark for "the key itself is wrong"
_EXAMPLES: Mapping[str, str] = {
    "name": "name: my-scenario",
    "load": "load: {shape: [{constant: 10/s}]}",
    "shape": "shape: [{constant: 10/s}]",
    "phases": "phases: {warmup: 10s, steady_state: 30s}",
    "id": "id: slow-llm",
    "type": "type: process.kill (`gauntlet faults list` shows them all)",
    "target": "target: retrieval-1",
    "kind": "kind: latency",
    "url": 'url: "http://127.0.0.1:8000"',
    "from": "from: 5/s",
    "to": "to: 50/s",
    "base": "base: 10/s",
    "peak": "peak: 50/s",
    "pass": 'pass: ">= 99%"',
}
_WANTED: Mapping[str, str] = {
    "dict_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
    "model_attributes_type": "a mapping (key: value)",
    "list_type": "a list",
    "tuple_type": "a list",
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "finite_number": "a finite number",
}


def problems_of(
    error: ValidationError, model: type[BaseModel], data: Any, positions: Positions, path: str, root: KeyPath = ()
) -> list[Problem]:
    """One problem per place, in the order of the file. `root` is where `data` hangs in the document."""
    found: dict[KeyPath, Problem] = {}
    for details in error.errors(include_url=False):
        where = _document_path(details, data)
        if where not in found or _names_choices(details):
            found[where] = _problem(details, where, model, positions, path, root)
    kept = [p for where, p in found.items() if not any(other[: len(where)] == where and other != where for other in found)]
    return sorted(kept, key=lambda p: (p.line, p.column, p.message))


def _problem(details: ErrorDetails, where: KeyPath, model: type[BaseModel], positions: Positions, path: str, root: KeyPath) -> Problem:
    about_key = details["type"] == "extra_forbidden" or details["loc"][-1:] == (_KEY,)
    at = positions.key(root + where) if about_key else positions.value(root + where)
    message, hint = _words(details, where, model)
    return Problem(path, at.line, at.column, message, hint)


def _names_choices(details: ErrorDetails) -> bool:
    """Of the errors of a union, the one that lists the words is the most telling for someone who wrote a word."""
    return details["type"] == "literal_error" and isinstance(details["input"], str)


def _words(details: ErrorDetails, where: KeyPath, model: type[BaseModel]) -> tuple[str, str]:
    """What is wrong, and what to write instead."""
    kind, ctx, name = details["type"], details.get("ctx", {}), _name(where)
    given = details["input"]
    match kind:
        case "extra_forbidden":
            if name in _known_keys(model, where[:-1]):  # of another kind of what may stand here
                known = sorted(_known_keys(model, where[:-1], without=name))
                return f"{name!r} does not belong here", f"write one of {', '.join(known)}"
            return f"unknown key {name!r}", did_you_mean(name, _known_keys(model, where[:-1]))
        case "missing":
            return f"{name!r} is missing", f"write `{_EXAMPLES.get(name, name + ': …')}`"
        case "literal_error":
            choices = _choices(str(ctx["expected"]))
            return f"{_shown(given)} is not known here", did_you_mean(str(given), choices)
        case "value_error" | "assertion_error":
            message, _, hint = str(ctx["error"]).partition("; ")
            return message, hint
        case "string_pattern_mismatch":
            return f"{_shown(given)} is no valid {name}", "write lower-case letters, digits and hyphens"
        case "too_short" | "too_long":
            count = ctx["actual_length"] if ctx["actual_length"] is not None else "too many"  # of a mapping it is not told
            return f"{name} has {count} entries", f"write {_bounds(ctx)}"
        case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal":
            bound = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most"}
            return f"{name}: {_shown(given)} is out of range", "write " + ", ".join(
                f"{bound[k]} {v:g}" for k, v in ctx.items() if k in bound
            )
    if kind in _WANTED:
        return f"{name}: {_shown(given)} is not {_WANTED[kind]}", f"write {_WANTED[kind]}"
    return f"{name}: {details['msg'][:1].lower()}{details['msg'][1:]}", ""


def _name(where: KeyPath) -> str:
    """`load` or `edges[0]`: the last key, with what follows it."""
    keys = [n for n, part in enumerate(where) if isinstance(part, str)]
    return str(where[keys[-1]]) + "".join(f"[{part}]" for part in where[keys[-1] + 1 :]) if keys else "the scenario"


def _bounds(ctx: Mapping[str, Any]) -> str:
    return f"at least {ctx['min_length']}" if "min_length" in ctx else f"at most {ctx['max_length']}"


def _choices(expected: str) -> list[str]:
    """`'a', 'b' or 'c'` as pydantic prints it."""
    return [word.strip().strip("'") for part in expected.split(",") for word in part.split(" or ")]


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _document_path(details: ErrorDetails, data: Any) -> KeyPath:
    """Pydantic's location without the names of union members, which the document does not have."""
    where: list[str | int] = []
    parts = [p for p in details["loc"] if p != _KEY]
    absent_last = details["type"] == "missing"
    for n, part in enumerate(parts):
        if isinstance(data, dict) and part in data:
            data = data[str(part)]
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        elif not (absent_last and n == len(parts) - 1):
            continue
        where.append(part)
    return tuple(where)


def _known_keys(model: type[BaseModel], where: KeyPath, without: str | None = None) -> set[str]:
    """Keys that the mapping at `where` may have; of those kinds of it only that do not have the key `without`."""
    annotations: list[Any] = [model]
    for part in where:
        annotations = [found for annotation in annotations for found in _step(annotation, part)]
    models = [m for annotation in annotations for m in _members(annotation) if _is_model(m)]
    keys = [{field.alias or name for name, field in m.model_fields.items()} for m in models]
    return {key for of_one in keys if without not in of_one for key in of_one}


def _step(annotation: Any, part: str | int) -> Iterator[Any]:
    """What lies at `part` inside a value of this type."""
    for member in _members(annotation):
        if _is_model(member):
            yield from (f.annotation for name, f in member.model_fields.items() if (f.alias or name) == part)
        elif get_origin(member) is dict:
            yield get_args(member)[1]
        elif get_origin(member) is list:
            yield get_args(member)[0]


def _members(annotation: Any) -> Iterable[Any]:
    """The alternatives of a union, without their annotations."""
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [member for arg in get_args(annotation) for member in _members(arg)]
    return [annotation]


def _is_model(member: Any) -> bool:
    return isinstance(member, type) and issubclass(member, BaseModel)
