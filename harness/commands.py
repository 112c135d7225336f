"""Commands about the machine rather than about a run: doctor, clean, up, down, stop, completion."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import get_completion_class

from harness.cli import FAILED, JSON, NOT_STARTED, OK, USAGE, emit, exits, say


@click.command()
@JSON
@exits
def doctor(as_json: bool) -> int:
    """Say what this machine can do: which parts were found, which faults will work, and what to do about the rest."""
    from harness.lifecycle.doctor import examine

    findings = examine()
    if as_json:
        emit({"findings": [f.to_json() for f in findings]})
    for finding in findings if not as_json else ():
        click.echo(f"{finding.mark:<5} {finding.what:<28} {finding.detail}")
    return FAILED if any(f.blocking for f in findings) else OK


@click.command()
@JSON
@exits
def clean(as_json: bool) -> int:
    """Heal and remove whatever dead runs left behind. Runs that are alive are not touched."""
    from harness.faults.clean import clean_up

    done = clean_up()
    if as_json:
        emit(done.to_json())
    else:
        click.echo(done.summary)
    return OK if done.complete else FAILED


@click.command()
@click.option("--scenario", type=click.Path(path_type=Path), help="Take the stack of this scenario; default: the reference stack.")
@JSON
@exits
def up(scenario: Path | None, as_json: bool) -> int:
    """Start the stack alone and leave it running; prints its URLs. `gauntlet down` ends it."""
    from harness.lifecycle import standing
    from harness.stack.base import StackError

    try:
        stack = standing.bring_up(scenario, say)
    except StackError as error:
        say(str(error))
        return NOT_STARTED
    except standing.StandingError as error:
        say(str(error))
        return USAGE
    if as_json:
        emit(stack)
    else:
        for name, url in stack["urls"].items():
            click.echo(f"{name:<16} {url}")
        click.echo(f"{'API key':<16} {stack['api_key']}")
    return OK


@click.command()
@exits
def down() -> int:
    """End the stack that `gauntlet up` started."""
    from harness.lifecycle import standing

    say("down: ended" if standing.take_down() else "down: no stack was up")
    return OK


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@exits
def completion(shell: str) -> int:
    """Print the completion script of a shell: eval "$(gauntlet completion bash)"."""
    kind = get_completion_class(shell)
    if kind is None:
        raise AssertionError(f"click has no completion for {shell}")
    click.echo(kind(cli=click.Group(), ctx_args={}, prog_name="gauntlet", complete_var="_GAUNTLET_COMPLETE").source())
    return OK


def register(group: click.Group) -> None:
    """Add the commands of this module."""
    for command in (doctor, clean, up, down, completion):
        group.add_command(command)
