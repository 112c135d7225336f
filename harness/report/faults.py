"""One fault of the catalogue as text: what `gauntlet faults show` prints, and its page under docs/faults."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
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


def listing(faults: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """By family one line a fault: what it does, and which stacks can take it."""
    for family in dict.fromkeys(fault["family"] for fault in faults):
        members = [fault for fault in faults if fault["family"] == family]
        yield f"{family} ({len(members)})"
        yield from (f"  {fault['name']:<30} {fault['summary']} [{', '.join(_able(fault)) or 'no stack'}]" for fault in members)


def index(faults: Sequence[Mapping[str, Any]], proved: Mapping[str, Mapping[str, Any]]) -> str:
    """The list of all pages, by family, and what the contract test has proved on which stack.

    `proved` is by fault and stack: `{"effective_s", "gone_s"}`.
    """
    lines = ["# Faults", "", "What is right to do about each, by family. Which stacks can take one is on its page.", ""]
    for family in dict.fromkeys(fault["family"] for fault in faults):
        lines += [f"## {family}", "", "| type | what it does | right action |", "|---|---|---|"]
        lines += [
            f"| [{f['name']}]({f['name']}.md) | {_cell(f['summary'])} | {_cell(dict(_facts(f))['right action'])} |"
            for f in faults
            if f["family"] == family
        ]
        lines.append("")
    return "\n".join([*lines, *_proofs(faults, proved)])


def _proofs(faults: Sequence[Mapping[str, Any]], proved: Mapping[str, Mapping[str, Any]]) -> list[str]:
    on_hosts = [f for f in faults if "host" in f["targets"]]
    others = [f for f in faults if f not in on_hosts]
    head = [
        "## Proved",
        "",
        "By the contract test: injected (also twice), evidence seen, healed (also twice), evidence that it is gone; all that once more,",
        "and taken back by its undo entries alone; nothing differs from before. The seconds are from injection to evidence, and from",
        "healing to evidence that it is gone.",
        "",
    ]
    return [*head, *_proof_table(others, proved, "processes", "containers"), *_proof_table(on_hosts, proved, "swarm")]


def _proof_table(faults: Sequence[Mapping[str, Any]], proved: Mapping[str, Mapping[str, Any]], *stacks: str) -> list[str]:
    rows = [f"| {f['name']} | {' | '.join(_proof(f, proved, stack) for stack in stacks)} |" for f in faults]
    return [f"| type | {' | '.join(stacks)} |", "|---" * (len(stacks) + 1) + "|", *rows, ""] if rows else []


def _proof(fault: Mapping[str, Any], proved: Mapping[str, Mapping[str, Any]], stack: str) -> str:
    found = proved.get(fault["name"], {}).get(stack)
    if found is not None:
        return f"effective {found['effective_s']:.1f} s, gone {found['gone_s']:.1f} s"
    lacking = fault["stacks"].get(stack, [])
    if lacking:
        return f"cannot take it: not {', '.join(lacking)}"
    return "a change, which stays" if fault["benign"] else "not run yet"


def _able(fault: Mapping[str, Any]) -> list[str]:
    return [name for name, lacking in fault["stacks"].items() if not lacking]


def _services(fault: Mapping[str, Any]) -> str:
    """By name, or by what they speak."""
    services, roles = fault["services"], fault["roles"]
    if not isinstance(services, str):
        return ", ".join(services)
    return services if isinstance(roles, str) else f"any that speaks {' or '.join(roles)}"


def _facts(fault: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    healed = ", ".join(fault["recoverable_by"]) or ("nothing to heal" if fault["benign"] else "no action heals it: escalate")
    return (
        ("target", " or ".join(fault["targets"])),
        ("services", _services(fault)),
        ("right diagnosis", "none: a benign change" if fault["benign"] else f"kind {fault['kind']}"),
        ("right action", healed),
        ("stack must be", ", ".join([*fault["needs"], *([" or ".join(fault["either"])] if fault["either"] else [])]) or "any"),
        ("stacks", "; ".join([", ".join(_able(fault)) or "none", *_unable(fault)])),
    )


def _unable(fault: Mapping[str, Any]) -> list[str]:
    return [f"{name} is not {', '.join(lacking)}" for name, lacking in fault["stacks"].items() if lacking]


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
