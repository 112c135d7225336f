"""Commands that compare: two runs, a run and its baseline, two files of pytest-benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.console import EPILOG, JSON, RUN, STRICT, CommandError, command, emit, say
from harness.lifecycle.exit_codes import OK, USAGE
from harness.record.progress import UNTOLD, Progress

if TYPE_CHECKING:
    from harness.comparing import Comparison
    from harness.judging import Judged
    from harness.lifecycle.settled import Settled
    from harness.scenario.comparison import Metric

STORED = "stored"
BASELINE = click.option(
    "--baseline", metavar="RUN", type=click.Path(path_type=Path), help="Compare with this run as well; `stored`: with the one that was set."
)
BASELINES = click.option(
    "--baselines",
    default="baselines",
    show_default=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Where baselines are kept.",
)


@command(epilog=EPILOG)
@click.argument("base", metavar="BASE", type=click.Path(path_type=Path))
@click.argument("candidate", metavar="CANDIDATE", type=click.Path(path_type=Path))
@click.option("--worse-by", metavar="PERCENT", help="What a benchmark may lose, for files of pytest-benchmark.  [default: 10%]")
@click.option("--html", "page", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="Write it as a page as well.")
@BASELINES
@STRICT
@JSON
def compare(base: Path, candidate: Path, worse_by: str | None, page: Path | None, baselines: Path, strict: bool, as_json: bool) -> int:
    """Say whether CANDIDATE is worse than BASE.

    Two runs, or two files of pytest-benchmark. BASE may be `stored`: the baseline that was set for the scenario of CANDIDATE on its
    machine, and its anchor. Works from disk alone.
    """
    from harness.comparing import compare as compare_two
    from harness.report.progress import ProgressView

    anchor = None
    if str(base) == STORED:
        base, anchor = stored(candidate, baselines)
    with ProgressView(quiet=as_json) as view:
        found = compare_two(base, candidate, anchor=anchor, strict=strict, metric=_metric(worse_by), progress=view.progress)
        if page is not None:
            write_page(page, found, base, candidate, view.progress)
    tell(found, as_json)
    return found.verdict.exit_code


def write_page(page: Path, found: Comparison, base: Path, candidate: Path, progress: Progress = UNTOLD) -> None:
    """The comparison as HTML; of two runs with what else differs, and both over time. Raises CommandError where it cannot be written."""
    from harness.commands.diff import differing
    from harness.record import store
    from harness.report import comparison_html

    if base.is_file():
        text = comparison_html.render(found)
    else:
        differ, both = differing(base, candidate), (store.read(base, progress=progress), store.read(candidate, progress=progress))
        progress.begin("writing the page", 0)
        text = comparison_html.render(found, differ, both)
    try:
        page.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(USAGE, f"--html: {error}") from error


def _metric(worse_by: str | None) -> Metric | None:
    from pydantic import ValidationError

    from harness.scenario.comparison import Metric

    if worse_by is None:
        return None
    try:
        return Metric(worse_by=worse_by)
    except ValidationError as error:
        raise CommandError(USAGE, f"--worse-by: {error.errors()[0]['msg']}") from error


def stored(candidate: Path, baselines: Path) -> tuple[Path, Path | None]:
    """The current baseline and the anchor for a run. Raises CommandError where there is none."""
    kept = recorded(candidate, Path(STORED), baselines)
    if kept.current is None:
        raise CommandError(USAGE, kept.reason)
    return kept.current, kept.anchor


def recorded(run: Path, baseline: Path, baselines: Path) -> Settled:
    """What a run that is recorded already is compared with: a run, or what is stored for its scenario and machine."""
    from harness.baselines import run_of, shelf
    from harness.lifecycle.settled import Settled, of_shelf
    from harness.record import store

    if str(baseline) != STORED:
        return Settled(baseline)
    return of_shelf(shelf(baselines, store.read(run_of(run).path)), baselines)


def judged_as_run(run: Path, *, strict: bool = False, progress: Progress = UNTOLD) -> tuple[Judged, Comparison | None]:
    """A recorded run, judged again with what it was compared with when it was made: what failed by that must not pass without it."""
    from harness.judging import judge_run
    from harness.lifecycle.settled import settled_then

    judged = judge_run(run, strict=strict, progress=progress)
    settled = settled_then(judged.history.run)
    return (judged, None) if settled is None else against(judged, settled, strict=strict, progress=progress)


def keep(judged: Judged, found: Comparison | None) -> Judged:
    """The whole of a comparison is in `comparison.json` beside the record."""
    from harness.report import comparison

    if found is not None:
        (judged.directory.path / "comparison.json").write_bytes(comparison.render(found))
    return judged


def against(judged: Judged, settled: Settled, *, strict: bool, progress: Progress = UNTOLD) -> tuple[Judged, Comparison | None]:
    """A judged run with the comparison in its verdict, and the comparison where there was something to compare with."""
    from harness.comparing import with_baseline, without_baseline
    from harness.judging import judge_run

    if settled.current is None:
        return without_baseline(judged, settled.reason, strict=strict), None
    if judged.scenario.baseline_phases:
        judged = judge_run(judged.directory.path, strict=strict, baseline=settled.current, progress=progress)
    return with_baseline(judged, settled.current, anchor=settled.anchor, strict=strict, progress=progress)


def against_settled(judged: Judged, settled: Settled, *, strict: bool) -> Judged:
    """The same at the end of a run: what was settled at its start may be gone by now, which leaves the run with nothing to compare with."""
    from harness.comparing import without_baseline
    from harness.record.store import RecordError

    try:
        return keep(*against(judged, settled, strict=strict))
    except RecordError as error:
        return without_baseline(judged, f"what was to be compared with cannot be read any more: {error}", strict=strict)


def tell(found: Comparison, as_json: bool) -> None:
    from harness.report import comparison

    if as_json:
        emit(comparison.document(found))
    else:
        comparison.show(found)


@command("set")
@RUN
@click.option("--anchor", is_flag=True, help="Compare with this one from now on, whatever was the anchor before.")
@BASELINES
def set_baseline(run: Path, anchor: bool, baselines: Path) -> int:
    """Keep a run as the baseline of its scenario on its machine.

    A run that failed, or whose record lacks what a comparison needs, is refused. The first baseline stays the anchor: candidates are
    compared with it as well, so that small steps cannot add up unseen.
    """
    from harness.baselines import run_of, shelf
    from harness.judging import judge_run
    from harness.score.check import Status
    from harness.score.versions import unfit

    directory = run_of(run)
    judged = judge_run(directory.path)
    if judged.verdict.status is Status.FAIL:
        raise CommandError(USAGE, f"{run}: this run failed ({judged.verdict.reason}); what fails is nothing to compare with")
    if reason := unfit(judged.history, judged.scenario):
        raise CommandError(USAGE, f"{run}: {reason}; it could be compared with nothing")
    say(f"{shelf(baselines, judged.history).put(directory.path, judged.history, anchor=anchor)}: kept")
    return OK


@command("list")
@BASELINES
@JSON
def list_baselines(baselines: Path, as_json: bool) -> int:
    """List baselines: scenario, machine, commit, and which is the anchor and which the current one."""
    from harness.baselines import listed

    rows = listed(baselines)
    if as_json:
        emit({"baselines": [row.to_json() for row in rows]})
    for row in rows if not as_json else ():
        click.echo(f"{row.role or '-':<8} {row.scenario:<28} {row.machine:<32} {row.commit:<8} {row.path}")
    return OK


baseline = click.Group("baseline", commands=[set_baseline, list_baselines], help="Runs that others are compared with.")
