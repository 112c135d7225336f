"""docs/pipeline-kinds.md, which follows from the code: `python -m harness.pipeline.reference docs/pipeline-kinds.md` writes it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.pipeline.registry import KINDS, Kind, kind

_HEAD = """# Kinds of steps

What may stand under `uses:` in a [pipeline](pipeline.md), and under `with:` beside it. Paths are relative to the root. Any value may be a
reference (`${steps.ID.NAME}`, `${env.NAME}`).
"""


def page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *(line for name in KINDS for line in _of(kind(name)))]).rstrip() + "\n"


def _of(one: Kind) -> Iterator[str]:
    yield from (f"## {one.name}", "", one.summary, "")
    fields = one.options.model_fields
    if fields:
        yield from ("| field | type | default | meaning |", "|---|---|---|---|")
        schema = one.options.model_json_schema(by_alias=True)
        for name, field in fields.items():
            key = field.alias or name
            default = "required" if field.is_required() else f"`{_plain(field.get_default(call_default_factory=True))}`"
            yield f"| `{key}` | {_type(schema['properties'][key], schema)} | {default} | {_cell(field.description or '')} |"
        yield ""
    if one.outputs:
        yield from (f"Hands on: {', '.join(f'`{name}` ({_cell(what)})' for name, what in one.outputs.items())}.", "")


def _type(schema: Mapping[str, Any], root: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return _type(root["$defs"][str(schema["$ref"]).rpartition("/")[2]], root)
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(one, root) for one in schema["anyOf"] if one.get("type") != "null"))
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    match schema.get("type"):
        case "array":
            return f"list of {_type(schema.get('items', {}), root)}"
        case "object":
            return f"mapping to {_type(more, root)}" if isinstance(more := schema.get("additionalProperties"), dict) else "mapping"
        case "string":
            return "path" if schema.get("format") == "path" else "text"
        case kind_of_value:
            return {"integer": "whole number", "number": "number", "boolean": "true or false"}.get(str(kind_of_value), "any")


def _plain(value: Any) -> str:
    """As one writes it in YAML."""
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value) or '""'


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main(argv: Sequence[str]) -> int:
    """Write the page."""
    Path(argv[1]).write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv))
