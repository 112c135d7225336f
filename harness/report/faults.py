"""One fault of the catalogue as text: what `gauntlet faults show` prints."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any


def page(fault: Mapping[str, Any]) -> str:
    """The description of one fault, from the document that `faults show --json` prints."""
    return "\n".join(_lines(fault))


def _lines(fault: Mapping[str, Any]) -> Iterator[str]:
    yield fault["name"]
    yield from textwrap.wrap(fault["summary"], 100, initial_indent="  ", subsequent_indent="  ")
    yield ""
    services = fault["services"]
    healed = ", ".join(fault["recoverable_by"]) or ("nothing to heal" if fault["benign"] else "no action heals it: escalate")
    rows = (
        ("target", " or ".join(fault["targets"])),
        ("services", services if isinstance(services, str) else ", ".join(services)),
        ("right diagnosis", "none: a benign change" if fault["benign"] else f"kind {fault['kind']}"),
        ("right action", healed),
        ("stack must be", ", ".join(fault["needs"]) or "any"),
    )
    yield from (f"{name:<16} {value}" for name, value in rows)
    yield from textwrap.wrap(f"{'evidence':<16} {fault['evidence']}", 100, subsequent_indent=" " * 17)
    yield ""
    yield "parameters" + ("" if fault["parameters"] else "       none")
    for parameter in fault["parameters"]:
        default = "required" if parameter["required"] else f"default {parameter['default']}"
        yield f"  {parameter['name']:<14} {parameter['unit'] or ''} ({default}) {parameter['description']}".rstrip()
    yield ""
    yield "example"
    yield textwrap.indent(fault["example"].strip("\n"), "  ")
