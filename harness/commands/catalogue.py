"""Commands about the faults that can be injected."""

from __future__ import annotations

import click

from harness.commands.console import JSON, CommandError, command, emit, say
from harness.lifecycle.exit_codes import OK, USAGE


@command("list")
@JSON
def list_faults(as_json: bool) -> int:
    """List what can be injected."""
    from harness.faults.registry import BROKEN, CATALOG, describe
    from harness.report.faults import listing
    from harness.stack.catalog import STACKS

    described = [describe(spec, STACKS) for spec in CATALOG.values()]
    if as_json:
        emit({"faults": described})
    else:
        click.echo("\n".join(listing(described)))
    for name, reason in BROKEN.items():
        say(f"{name}: {reason}")
    return OK


@command("show")
@click.argument("name")
@JSON
def show_fault(name: str, as_json: bool) -> int:
    """Show one fault: parameters, targets, stacks that can take it, evidence, an example."""
    from harness.faults.registry import BROKEN, CATALOG, describe
    from harness.report.faults import page
    from harness.scenario.problem import did_you_mean
    from harness.stack.catalog import STACKS

    if name in BROKEN:
        raise CommandError(USAGE, f"{name}: {BROKEN[name]}")
    if name not in CATALOG:
        raise CommandError(USAGE, f"no such fault: {name!r}; {did_you_mean(name, CATALOG)}")
    if as_json:
        emit(describe(CATALOG[name], STACKS))
    else:
        click.echo(page(describe(CATALOG[name], STACKS)))
    return OK


faults = click.Group("faults", commands=[list_faults, show_fault], help="The catalogue of faults.")
