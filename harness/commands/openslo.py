"""Commands that exchange objectives with other tools, as OpenSLO v1."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.console import JSON, CommandError, command, emit, say
from harness.lifecycle.exit_codes import OK, USAGE


@command("export")
@click.argument("file", metavar="SCENARIO", type=click.Path(path_type=Path))
@click.option("--period", default="30d", show_default=True, metavar="DURATION", help="The rolling window that an error budget is for.")
@JSON
def export(file: Path, period: str, as_json: bool) -> int:
    """Write the objectives and burn-rate rules of a scenario as OpenSLO v1.

    To standard output; what has no form there is told on standard error.
    """
    import yaml

    from harness.scenario.loader import load_scenario
    from harness.scenario.openslo.writing import write

    written = write(load_scenario(file).scenario, period)
    for note in written.notes:
        say(note)
    if not written.documents:
        raise CommandError(USAGE, f"{file}: none of its objectives has a form in OpenSLO")
    if as_json:
        emit({"documents": written.documents, "notes": written.notes})
    else:
        click.echo(yaml.safe_dump_all(written.documents, sort_keys=False, allow_unicode=True), nl=False)
    return OK


@command("import")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--phase", default="steady_state", show_default=True, help="Of the objectives that name none.")
@click.option("--map", "maps", multiple=True, metavar="NAME=SLI[:UNIT]", help="What an SLO is about: checkout-latency=latency:ms.")
@JSON
def import_(file: Path, phase: str, maps: tuple[str, ...], as_json: bool) -> int:
    """Read OpenSLO v1 as `objectives` and `burn_rates` of a scenario.

    To standard output, ready to be put into one; what cannot be judged is told on standard error.
    """
    import yaml

    from harness.scenario.loader import read_text
    from harness.scenario.openslo.reading import MappingError, mapping, read
    from harness.scenario.slis import PHASES

    if phase not in PHASES:
        raise CommandError(USAGE, f"--phase: there is no phase {phase!r}; write one of {', '.join(PHASES)}")
    try:
        imported = read(read_text(file), str(file), phase=phase, mapped=mapping(maps))
    except MappingError as error:
        raise CommandError(USAGE, f"--map: {error}") from error
    for note in imported.notes:
        say(note)
    if not imported.objectives:
        raise CommandError(USAGE, f"{file}: nothing in it can be judged here")
    document = {"objectives": imported.objectives} | ({"burn_rates": imported.burn_rates} if imported.burn_rates else {})
    if as_json:
        emit({**document, "notes": imported.notes})
    else:
        click.echo(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=140), nl=False)
    return OK


openslo = click.Group("openslo", commands=[export, import_], help="Objectives as OpenSLO v1, for other tools and from them.")
