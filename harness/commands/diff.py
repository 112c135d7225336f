"""`gauntlet diff`: what differs between two runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.console import JSON, command, emit
from harness.lifecycle.exit_codes import OK

if TYPE_CHECKING:
    from harness.report.diff import Differences


@command()
@click.argument("base", metavar="A", type=click.Path(path_type=Path))
@click.argument("candidate", metavar="B", type=click.Path(path_type=Path))
@JSON
def diff(base: Path, candidate: Path, as_json: bool) -> int:
    """Say what differs between two runs.

    Scenario, versions, machine, seed, checks whose status changed, SLIs by phase, what became of the faults, events. Judges nothing
    and exits with 0; whether B is worse than A says `gauntlet compare A B`.
    """
    from harness.report import diff as report

    found = differing(base, candidate)
    if as_json:
        emit(report.document(found))
    else:
        click.echo("\n".join(report.lines(found)))
    return OK


def differing(base: Path, candidate: Path) -> Differences:
    """Both runs, each judged as it was when it was made. Raises RecordError or ScenarioError."""
    from harness.commands.compare import judged_as_run
    from harness.report.diff import differences
    from harness.report.material import Material

    sides = [Material(j.verdict, j.history, j.scenario) for j in (judged_as_run(path)[0] for path in (base, candidate))]
    return differences(sides[0], sides[1], (str(base), str(candidate)))
