"""One fault of the catalogue as text: what `gauntlet faults show` prints, and its page under docs/faults."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any


def page(fault: Mapping[str, Any]) -> str:
    """The description of one fault, from the document that `faults show --json` prints."""
    return "\n".join(_lines(fault))


def _lines(fault: Mapping[str, Any]) -> Iterator[str]:
    yield fault["name"]
    yield from textwrap.wrap(fault["summary"], 100, initial_indent="  ", subsequent_indent="  ")
    yield ""
    yield from (f"{name:<16} {value}" for name, value in _facts(fault))
    yield from textwrap.wrap(f"{'evidence':<16} {fault['evidence']}", 100, subsequent_indent=" " * 17)
    yield ""
    yield "parameters" + ("" if fault["parameters"] else "       none")
    for parameter in fault["parameters"]:
        default = "required" if parameter["required"] else f"default {parameter['default']}"
        yield f"  {parameter['name']:<14} {parameter['unit'] or ''} ({default}) {parameter['description']}".rstrip()
    yield ""
    yield "example"
    yield textwrap.indent(fault["example"].strip("\n"), "  ")


def markdown(fault: Mapping[str, Any]) -> str:
    """The page of one fault under docs/faults, from the same document."""
    head = [f"# {fault['name']}", "", fault["summary"], "", "| | |", "|---|---|"]
    facts = [f"| {name} | {_cell(value)} |" for name, value in (*_facts(fault), ("evidence", fault["evidence"]))]
    example = ["## Example", "", "```yaml", "faults:", f"  - {fault['example'].strip()}", "```", ""]
    return "\n".join([*head, *facts, "", "## Parameters", "", *_parameter_table(fault["parameters"]), "", *example])


def index(faults: Iterable[Mapping[str, Any]]) -> str:
    """The list of all pages."""
    rows = [f"| [{f['name']}]({f['name']}.md) | {_cell(f['summary'])} | {_cell(dict(_facts(f))['right action'])} |" for f in faults]
    return "\n".join(["# Faults", "", "| type | what it does | right action |", "|---|---|---|", *rows, ""])


def _facts(fault: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    services = fault["services"]
    healed = ", ".join(fault["recoverable_by"]) or ("nothing to heal" if fault["benign"] else "no action heals it: escalate")
    return (
        ("target", " or ".join(fault["targets"])),
        ("services", services if isinstance(services, str) else ", ".join(services)),
        ("right diagnosis", "none: a benign change" if fault["benign"] else f"kind {fault['kind']}"),
        ("right action", healed),
        ("stack must be", ", ".join(fault["needs"]) or "any"),
    )


def _parameter_table(parameters: Sequence[Mapping[str, Any]]) -> list[str]:
    if not parameters:
        return ["None."]
    rows = [
        f"| `{p['name']}` | {_cell(p['unit'] or '')} | {'required' if p['required'] else p['default']} | {_cell(p['description'])} |"
        for p in parameters
    ]
    return ["| name | unit | default | meaning |", "|---|---|---|---|", *rows]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
