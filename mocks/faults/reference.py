"""The documentation of fault types, from the types themselves."""

import inspect
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType

from mocks.faults.base import Registry
from mocks.faults.documents import Field, example, fields_of
from mocks.faults.shapes import SHAPES

Families = Mapping[str, Sequence[ModuleType]]
"""Headings, and the modules whose types stand under them."""


def page(title: str, introduction: str, registry: Registry, families: Families) -> str:
    """Markdown: what all types share, an index, then every type."""
    lines = [f"# {title}", "", introduction, "", *_shapes(), *_matches(registry), "## Types", "", *_index(registry, families)]
    for heading, modules in families.items():
        lines += [f"## {heading}", ""]
        for name, kind in types_of(registry, modules):
            lines += _type(name, kind, registry)
    return "\n".join(lines).rstrip() + "\n"


def types_of(registry: Registry, modules: Sequence[ModuleType]) -> Iterator[tuple[str, type]]:
    """The types that these modules register, in their order."""
    for module in modules:
        yield from ((name, kind) for name, kind in registry.items() if kind.__module__ == module.__name__)


def _shapes() -> list[str]:
    lines = ["## When", "", "All that a document says must hold for a call to be hit.", "", "| key | example | meaning |", "|---|---|---|"]
    lines.append("| `ttl_s` | `60` | ends by itself after so long |")
    lines += [f"| `{key}` | {shape.spelled} | {_cell(shape.says)} |" for key, shape in SHAPES.items()]
    return [*lines, ""]


def _matches(registry: Registry) -> list[str]:
    example_value = {"names": '`["…"]`', "flag": "`true`", "text": '`"…"`'}
    lines = ["## Whom", "", "`match` is an object, all of whose keys must hold:", "", "| key | value | meaning |", "|---|---|---|"]
    for key, criterion in registry.criteria.items():
        known = "" if criterion.known is None else ": " + ", ".join(f"`{one}`" for one in sorted(criterion.known))
        lines.append(f"| `{key}` | {example_value[criterion.how]} | {_cell(criterion.says + known)} |")
    return [*lines, ""]


def _index(registry: Registry, families: Families) -> list[str]:
    lines = ["| type | what a client sees |", "|---|---|"]
    for modules in families.values():
        lines += [f"| [`{name}`](#{name}) | {_cell(kind.summary)} |" for name, kind in types_of(registry, modules)]  # type: ignore[attr-defined]  # every fault has one
    return [*lines, ""]


def _type(name: str, kind: type, registry: Registry) -> list[str]:
    summary: str = kind.summary  # type: ignore[attr-defined]  # every fault has one
    lines = [f"### {name}", "", f"{summary} {_purpose(kind)}", ""]
    default = registry.match_defaults[name]
    if default:
        lines += [f"Unless `match` says otherwise: `match: {json.dumps(default)}`.", ""]
    if name in registry.standing:
        lines += ["Holds between calls: of the shapes it takes `burst`, `window` and `ttl_s`.", ""]
    fields = sorted(fields_of(kind), key=lambda field: (field.name not in vars(kind)["__annotations__"], not field.required))
    if fields:
        lines += ["| parameter | unit | values | default | meaning |", "|---|---|---|---|---|", *map(_parameter, fields), ""]
        lines += [f"`{field.name}` as an object is the time shape of that name.\n" for field in fields if field.name in SHAPES]
    return [*lines, "```json", json.dumps(example(name, kind)), "```", ""]


def _purpose(kind: type) -> str:
    return re.sub(r"\s+", " ", inspect.cleandoc(kind.__doc__ or ""))


def _parameter(field: Field) -> str:
    values = f"{field.kind_text}, {field.range_text}" if field.range_text else field.kind_text
    default = "required" if field.required else f"`{json.dumps(field.default)}`"
    return f"| `{field.name}` | {field.param.unit} | {_cell(values)} | {default} | {_cell(field.param.says)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
