"""What all commands share: how they speak, how they end, and the options that they have in common."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from harness.lifecycle.exit_codes import INTERNAL, INTERRUPTED, USAGE
from harness.record.store import RecordError
from harness.scenario.problem import ScenarioError

EPILOG = """\b
Exit codes: 0 pass (and warn; --strict makes warn 1) · 1 fail · 2 usage or invalid file · 3 inconclusive
            4 stack did not start · 5 internal error · 130 interrupted
"""


def say(text: str) -> None:
    """To the person: standard error, so that --json keeps standard output to itself."""
    click.echo(text, err=True)


def emit(document: Any) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(document, indent=2, sort_keys=True, default=str))


class CommandError(Exception):
    """A command cannot do what it was asked to: one clear line, and an exit code."""

    def __init__(self, exit_code: int, message: object) -> None:
        super().__init__(str(message))
        self.exit_code = exit_code


class ExitCodeCommand(click.Command):
    """A command whose function returns its exit code, and whose errors end in one too: a clear line, no traceback.

    With --json, an error is a document as well: `{"error": text, "exit_code": code}`.
    """

    def invoke(self, ctx: click.Context) -> None:
        code, error = _carry_out(partial(super().invoke, ctx))
        if error is not None:
            say(error)
            if ctx.params.get("as_json"):
                emit({"error": error, "exit_code": code})
        ctx.exit(code)


command = partial(click.command, cls=ExitCodeCommand)


def _carry_out(work: Callable[[], int]) -> tuple[int, str | None]:
    """The exit code, and what went wrong where the command itself could not say so."""
    try:
        return work(), None
    except CommandError as error:
        return error.exit_code, str(error)
    except (ScenarioError, RecordError) as error:
        return USAGE, str(error)
    except ModuleNotFoundError as error:
        return USAGE, f"gauntlet: the package {error.name!r} is not installed; this command needs: pip install 'rag-gauntlet[all]'"
    except KeyboardInterrupt:
        return INTERRUPTED, "gauntlet: interrupted"
    except (click.ClickException, click.exceptions.Exit, BrokenPipeError):
        raise  # click knows what to do with them
    except Exception as error:  # noqa: BLE001  # the last resort: a defect of ours is exit 5, and never looks like a verdict
        if os.environ.get("GAUNTLET_DEBUG"):
            say(traceback.format_exc())
            return INTERNAL, f"gauntlet: internal error: {type(error).__name__}: {error}"
        return INTERNAL, f"gauntlet: internal error: {type(error).__name__}: {error}\nGAUNTLET_DEBUG=1 shows where; please report it"


FILES = click.argument("files", nargs=-1, required=True, metavar="FILE…", type=click.Path(path_type=Path))
RUN = click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
OUT = click.option(
    "--out", default="runs", show_default=True, metavar="DIR", type=click.Path(path_type=Path), help="Where run records are kept."
)
JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output, all else on standard error.")
STRICT = click.option("--strict", is_flag=True, help="Let WARN exit with 1.")
