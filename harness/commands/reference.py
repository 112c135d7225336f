"""docs/cli.md, which follows from the code: `python -m harness.commands.reference docs/cli.md` writes it."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from harness.lifecycle import exit_codes

_HEAD = """# Commands

What `gauntlet COMMAND --help` says, in one place. What they are for is in the [table of the README](../README.md#commands);
what they end with is [below](#exit-codes)."""
_MEANINGS = {
    "OK": "pass, or done; also WARN, without `--strict`",
    "FAILED": "FAIL, or what was asked has a bad answer",
    "USAGE": "usage, or a file that is not valid: nothing was started",
    "INCONCLUSIVE": "[the run does not say](why-inconclusive.md)",
    "NOT_STARTED": "the stack, or the mock, did not start",
    "INTERNAL": "a defect of `gauntlet` itself",
    "INTERRUPTED": "interrupted, and healed",
}
"""By the names of `exit_codes`, every one of them."""


def page(root: click.Group) -> str:
    """The whole page."""
    codes = sorted((value, name) for name, value in vars(exit_codes).items() if name.isupper() and isinstance(value, int))
    rows = [f"| {value} | {_MEANINGS[name]} |" for value, name in codes]
    return "\n".join([_HEAD, "", *_commands(root, "gauntlet"), "## Exit codes", "", "| | |", "|---|---|", *rows]) + "\n"


def _commands(group: click.Group, before: str) -> Iterator[str]:
    for name in sorted(group.commands):
        command = group.commands[name]
        if isinstance(command, click.Group):
            yield from _commands(command, f"{before} {name}")
        elif not command.hidden:
            yield from _one(command, f"{before} {name}")


def _one(command: click.Command, called: str) -> Iterator[str]:
    arguments = [_argument(p) for p in command.params if isinstance(p, click.Argument)]
    options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
    yield from (f"## {called}", "", f"`{' '.join([called, *(['[OPTIONS]'] if options else []), *arguments])}`", "")
    yield from _text(command.help or "")
    if options:
        yield from ("| option | |", "|---|---|", *(f"| `{_written(option)}` | {_cell(option.help or '')} |" for option in options), "")


def _argument(argument: click.Argument) -> str:
    return argument.metavar or f"{str(argument.name).upper()}{'…' if argument.nargs != 1 else ''}"


def _written(option: click.Option) -> str:
    """As it is typed."""
    names = ", ".join(sorted([*option.opts, *option.secondary_opts], key=len))
    if option.is_flag or option.count:
        return names
    kind = option.type
    value = option.metavar or ("|".join(map(str, kind.choices)) if isinstance(kind, click.Choice) else kind.name.upper())
    return f"{names} {value}".replace("|", "\\|")


def _text(told: str) -> Iterator[str]:
    """Paragraphs, and as code the blocks that click leaves alone."""
    for paragraph in re.split(r"\n{2,}", inspect.cleandoc(told)):
        if paragraph.startswith("\b"):
            yield from ("```text", *paragraph.splitlines()[1:], "```", "")
        else:
            yield from (_cell(paragraph), "")


def _cell(text: str) -> str:
    """On one line; what has a meaning in Markdown is escaped, but not where it is code."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()))
    return "".join(part.replace("|", r"\|") if n % 2 else re.sub(r"([|<>*_])", r"\\\1", part) for n, part in enumerate(parts))


def main(argv: Sequence[str]) -> int:
    """Write the page."""
    from harness.cli import cli

    Path(argv[1]).write_text(page(cli), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv))
