"""JSON Schema of pipeline files, with what each kind of step wants to know."""

from __future__ import annotations

from typing import Any

from harness.pipeline.definition import Pipeline
from harness.pipeline.registry import KINDS, kind

_REFERENCE = {"type": "string", "pattern": r"\$\{[^{}]*\}"}


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a pipeline file, for editors and validators."""
    schema = Pipeline.model_json_schema(by_alias=True)
    step = schema["$defs"]["Step"]
    step["properties"]["uses"]["enum"] = list(KINDS)
    step["allOf"] = [_rule(name, schema["$defs"]) for name in KINDS]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "gauntlet pipeline",
        "description": "Stages of a release, each with its steps and what they want to know.",
    }


def _rule(name: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """A step of this kind has this `with:`; any value may be a reference instead."""
    options = kind(name).options.model_json_schema(by_alias=True)
    for inner, definition in options.pop("$defs", {}).items():
        definitions[f"{name}.{inner}"] = _renamed(definition, name)
    options = _renamed(options, name)
    options["properties"] = {key: {"anyOf": [_REFERENCE, value]} for key, value in options.get("properties", {}).items()}
    then: dict[str, Any] = {"properties": {"with": options}}
    if options.get("required"):
        then["required"] = ["with"]
    return {"if": {"properties": {"uses": {"const": name}}, "required": ["uses"]}, "then": then}


def _renamed(schema: Any, prefix: str) -> Any:
    """References to definitions, which are shared by all kinds, carry the name of their kind."""
    if isinstance(schema, dict):
        return {
            key: value.replace("#/$defs/", f"#/$defs/{prefix}.") if key == "$ref" else _renamed(value, prefix)
            for key, value in schema.items()
        }
    return [_renamed(one, prefix) for one in schema] if isinstance(schema, list) else schema
