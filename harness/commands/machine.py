"""Commands about the machine rather than about a run."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import get_completion_class

from harness.commands.console import JSON, CommandError, command, emit, say
from harness.lifecycle.exit_codes import FAILED, NOT_STARTED, OK, USAGE


@command()
@JSON
def doctor(as_json: bool) -> int:
    """Say what this machine can do, and what it lacks.

    Names each part that a run needs, where it was found, and what to do about one that was not.
    """
    from harness.lifecycle.doctor import examine

    findings = examine()
    if as_json:
        emit({"findings": [f.to_json() for f in findings]})
    for finding in findings if not as_json else ():
        click.echo(f"{finding.mark:<5} {finding.what:<28} {finding.detail}")
    return FAILED if any(f.blocking for f in findings) else OK


@command()
@JSON
def clean(as_json: bool) -> int:
    """Heal and remove what dead runs left; live ones are spared."""
    from harness.deploy.settle import settle_abandoned
    from harness.faults.clean import clean_up

    done = clean_up()
    settled, unsettled = settle_abandoned()
    if as_json:
        emit({**done.to_json(), **({"settled": settled} if settled else {}), **({"unsettled": unsettled} if unsettled else {})})
    else:
        click.echo("\n".join([done.summary, *settled, *unsettled]))
    return OK if done.complete and not unsettled else FAILED


@command()
@click.option("--scenario", type=click.Path(path_type=Path), help="Take the stack of this scenario; default: the reference stack.")
@JSON
def up(scenario: Path | None, as_json: bool) -> int:
    """Start the stack alone, and leave it running.

    Prints its URLs and the API key of its gateway. `gauntlet down` ends it.
    """
    from harness.lifecycle import standing
    from harness.stack.base import StackError

    try:
        stack = standing.bring_up(scenario, say)
    except StackError as error:
        raise CommandError(NOT_STARTED, error) from error
    except standing.StandingError as error:
        raise CommandError(USAGE, error) from error
    if as_json:
        emit(stack)
    else:
        for name, url in stack["urls"].items():
            click.echo(f"{name:<16} {url}")
        click.echo(f"{'API key':<16} {stack['api_key']}")
    return OK


@command()
def down() -> int:
    """End the stack that `gauntlet up` started."""
    from harness.lifecycle import standing

    say("down: ended" if standing.take_down() else "down: no stack was up")
    return OK


@command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> int:
    """Print the completion script of a shell.

    For this session: eval "$(gauntlet completion bash)"; for all, write that line into the start file of your shell.
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise AssertionError(f"click has no completion for {shell}")
    click.echo(kind(cli=click.Group(), ctx_args={}, prog_name="gauntlet", complete_var="_GAUNTLET_COMPLETE").source())
    return OK
