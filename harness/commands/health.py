"""Is every part of a deployment well?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.console import JSON, STRICT, CommandError, command, emit, say
from harness.lifecycle.exit_codes import FAILED, INCONCLUSIVE, OK, USAGE

if TYPE_CHECKING:
    from harness.ops.health.judging import ServiceHealth, StackHealth
    from harness.ops.stackfile.loading import StackFile

EPILOG = """\b
Exit codes: 0 healthy, or degraded (--strict makes that 1) · 1 unhealthy · 2 usage or invalid file
            3 unknown: a critical service could not be asked · 5 internal error
"""


@command(epilog=EPILOG)
@click.argument("stack", type=click.Path(path_type=Path), metavar="[STACK.yaml]", required=False)
@click.option("--detailed", is_flag=True, help="Every instance and every model, with what was asked.")
@click.option("--component", metavar="NAME", help="Ask this service alone, and what it depends on; answer for it.")
@click.option("--report", type=click.Path(path_type=Path), metavar="DIR", help="Add the check to the report of the day there.")
@STRICT
@JSON
def health(stack: Path | None, detailed: bool, component: str | None, report: Path | None, strict: bool, as_json: bool) -> int:
    """Ask every service of a deployment how it is.

    Those of STACK.yaml; without a file, those of the stack that `gauntlet up` started.

    SELECT 1 of databases, PING of Redis, a query of vector stores, one generated token of each model, an embedding, the health of services.
    """
    from harness.ops.health.daily import append
    from harness.ops.health.judging import StackHealth
    from harness.record.clock import utc_now

    loaded = _loaded(stack)
    found = _ask(loaded, component)
    shown = found if component is None else StackHealth(next(s.status for s in found.services if s.service == component), found.services)
    if report is not None:
        try:
            say(f"health: {append(report, shown, utc_now(), loaded.document.name)}")
        except OSError as error:
            raise CommandError(USAGE, f"{report}: cannot be written: {error.strerror}") from error
    if as_json:
        emit({**shown.to_json(), "stack": loaded.document.name})
    else:
        _print(shown, detailed)
    return _code(shown, strict)


def _loaded(stack: Path | None) -> StackFile:
    from harness.ops.stackfile.loading import load_stack, stack_of_text

    if stack is not None:
        return load_stack(stack)
    from harness.lifecycle.standing import standing_document  # this one knows every kind of stack

    standing = standing_document()
    if standing is None:
        raise CommandError(USAGE, "no stack is up; give a STACK.yaml (docs/watch.md), or start one: gauntlet up")
    return stack_of_text(standing, "the standing stack")


def _ask(stack: StackFile, component: str | None) -> StackHealth:
    from harness.ops.diagnosis.graph import Graph
    from harness.ops.health.asking import ask_all
    from harness.ops.health.judging import judge
    from harness.record.clock import SystemClock
    from harness.scenario.problem import did_you_mean

    services = stack.document.services
    if component is not None and component not in services:
        raise CommandError(USAGE, f"{stack.path}: there is no service {component!r}; {did_you_mean(component, services)}")
    beneath = Graph(stack.targets.edges).reachable(component) if component is not None else frozenset(services)
    answers = ask_all(stack, SystemClock(), None if component is None else frozenset({component, *beneath}))
    return judge(answers, stack.targets.edges, {name: s.critical and s.kind != "external" for name, s in services.items()})


def _print(found: StackHealth, detailed: bool) -> None:
    for one in found.services:
        click.echo(f"{one.status:<9} {one.service:<16} {_time(one)}  {one.detail}")
        for answer in one.answers if detailed else ():
            took = f"{answer.response_s * 1e3:6.0f} ms" if answer.response_s is not None else "        -"
            click.echo(f"  {answer.status:<9} {answer.part:<30} {took}  {answer.detail}")
    click.echo(f"overall: {found.status}")


def _time(one: ServiceHealth) -> str:
    return f"{one.response_s * 1e3:6.0f} ms" if one.response_s is not None else "        -"


def _code(found: StackHealth, strict: bool) -> int:
    match found.status:
        case "unhealthy":
            return FAILED
        case "unknown":
            return INCONCLUSIVE
        case "degraded":
            return FAILED if strict else OK
        case _:
            return OK
