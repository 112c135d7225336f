"""Commands about runs: carry out, stop, judge, show."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.compare import BASELINE, BASELINES, against, against_settled, judged_as_run, keep, recorded
from harness.commands.console import EPILOG, FILES, JSON, OUT, RUN, STRICT, CommandError, command, emit, say
from harness.commands.deploy import show_deploy, tell
from harness.commands.github import GITHUB, part_of, part_of_none, tell_github
from harness.lifecycle.exit_codes import FAILED, OK, worst

if TYPE_CHECKING:
    from harness.judging import Judged
    from harness.lifecycle.batch import RunOutcome
    from harness.report.github import Part
    from harness.scenario.model import Driver


@command(epilog=EPILOG)
@FILES
@OUT
@click.option(
    "--stack",
    type=click.Choice(["processes", "containers", "swarm", "kubernetes"]),
    help="Driver of the reference stack, not the scenario's own.",
)
@click.option("--seed", type=click.IntRange(min=0), metavar="N", help="Instead of the scenario's own.")
@click.option("--repeat", type=click.IntRange(1, 100), default=1, metavar="N", help="Run each file N times, with seeds counting up.")
@BASELINE
@BASELINES
@STRICT
@GITHUB
@JSON
def run(
    files: tuple[Path, ...],
    out: Path,
    stack: Driver | None,
    seed: int | None,
    repeat: int,
    baseline: Path | None,
    baselines: Path,
    strict: bool,
    github: Path | None,
    as_json: bool,
) -> int:
    """Run scenarios, and judge them."""
    from harness.lifecycle.batch import Against, Batch
    from harness.lifecycle.settled import settle

    against_it = None
    if baseline is not None:
        against_it = Against(partial(settle, given=baseline, baselines=baselines), partial(against_settled, strict=strict))
    batch = Batch(
        out=out,
        stack=stack,
        seed=seed,
        repeat=repeat,
        strict=strict,
        quiet=as_json,
        argv=tuple(sys.argv),
        against=against_it,
    )
    outcomes = batch.carry_out(files, say)
    code = worst(o.exit_code for o in outcomes)
    tell_github(github, [_part(outcome) for outcome in outcomes])
    if as_json:
        documents = [o.document for o in outcomes]
        emit(documents[0] if len(documents) == 1 else {"runs": documents, "exit_code": code})
    return code


@command()
@RUN
def stop(run: Path) -> int:
    """Heal a live run at once, and end it.

    Says when what it broke is put back (within two seconds), then ends what it started. Its record stays, and can be judged.
    """
    from harness.lifecycle.stopping import StopError, stop_run

    try:
        stop_run(run, say)
    except StopError as error:
        raise CommandError(FAILED, error) from error
    return OK


@command(epilog=EPILOG)
@RUN
@BASELINE
@BASELINES
@STRICT
@GITHUB
@JSON
def judge(run: Path, baseline: Path | None, baselines: Path, strict: bool, github: Path | None, as_json: bool) -> int:
    """Judge a recorded run again, and write its reports.

    Works from the record alone, on any machine: same record, same verdict, byte for byte.
    """
    from harness.deploy.judging import is_deploy, judge_deploy
    from harness.judging import judge_run, write_reports
    from harness.report.progress import ProgressView

    if is_deploy(run):
        return tell(judge_deploy(run), strict=strict, as_json=as_json)
    with ProgressView(quiet=as_json) as view:
        if baseline is None:
            judged = keep(*judged_as_run(run, strict=strict, progress=view.progress))
        else:
            own = judge_run(run, strict=strict, progress=view.progress)
            judged = keep(*against(own, recorded(run, baseline, baselines), strict=strict, progress=view.progress))
        write_reports(judged, view.progress)
    tell_github(github, [part_of(judged)])
    _tell(judged, as_json)
    return judged.verdict.exit_code


@command()
@RUN
@JSON
def show(run: Path, as_json: bool) -> int:
    """Show the verdict of a recorded run.

    Judges without writing anything, and exits with 0 whatever the verdict.
    """
    from harness.deploy.judging import is_deploy, judge_deploy
    from harness.report.progress import ProgressView

    if is_deploy(run):
        show_deploy(judge_deploy(run), as_json=as_json)
        return OK
    with ProgressView(quiet=as_json) as view:
        judged, _ = judged_as_run(run, progress=view.progress)
    _tell(judged, as_json)
    return OK


def _tell(judged: Judged, as_json: bool) -> None:
    from harness.report import terminal, verdict_json

    if as_json:
        emit(verdict_json.document(judged.verdict, judged.history, judged.scenario) | {"run_dir": str(judged.directory.path)})
    else:
        terminal.show(judged.verdict, judged.history, judged.scenario, judged.directory.path)


def _part(outcome: RunOutcome) -> Part:
    if outcome.judged is None:
        return part_of_none(str(outcome.document["scenario"]), str(outcome.document["reason"]))
    return part_of(outcome.judged)


@command()
@RUN
@GITHUB
def report(run: Path, github: Path | None) -> int:
    """Write the reports of a recorded run again.

    Prints the path of the HTML page; exits with 0 whatever the verdict.
    """
    from harness.judging import write_reports
    from harness.report.progress import ProgressView

    with ProgressView() as view:
        judged, _ = judged_as_run(run, progress=view.progress)
        write_reports(judged, view.progress)
    tell_github(github, [part_of(judged)])
    click.echo(judged.directory.path / "report.html")
    return OK


@command("list")
@OUT
@JSON
def list_runs(out: Path, as_json: bool) -> int:
    """List recorded runs and their verdicts, newest last."""
    from harness.lifecycle.listing import recorded_runs

    rows = recorded_runs(out)
    if as_json:
        emit({"runs": [row.to_json() for row in rows]})
    for row in rows if not as_json else ():
        click.echo(f"{row.verdict:<13} {row.scenario:<28} {row.path}")
    if not rows:
        say(f"{out}: no runs are recorded here; --out names another directory")
    return OK
