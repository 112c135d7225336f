"""Commands about pipelines: check, run, show."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.console import EPILOG, FILES, JSON, OUT, RUN, STRICT, command, emit, say
from harness.lifecycle.exit_codes import OK, USAGE

_FILE = click.argument("file", metavar="FILE", type=click.Path(path_type=Path))


@command("run", epilog=EPILOG)
@_FILE
@click.option(
    "--stage", "stages", multiple=True, metavar="S", help="This stage alone; may be repeated. What it needs must have passed before."
)
@click.option("--from", "start", metavar="S", help="This stage, and all that depend on it. What they need must have passed before.")
@click.option("--resume", is_flag=True, help="Take what passed with the same inputs from earlier runs, and carry out the rest.")
@OUT
@STRICT
@JSON
def run_pipeline(file: Path, stages: tuple[str, ...], start: str | None, resume: bool, out: Path, strict: bool, as_json: bool) -> int:
    """Carry out the stages of a pipeline.

    Independent stages run side by side. What did not run says why; its evidence lies under DIR/pipelines.
    """
    from harness.pipeline.loading import load_pipeline
    from harness.pipeline.playing import Options, play
    from harness.pipeline.report import document, terminal
    from harness.pipeline.report.live import LiveView
    from harness.pipeline.selection import Selection
    from harness.record.clock import SystemClock

    loaded = load_pipeline(file)
    clock = SystemClock()
    with LiveView(loaded.pipeline.name, clock) as view:
        options = Options(out, Selection(stages, start, resume), say, view.update, clock=clock, strict=strict)
        record = play(loaded, options)
    if as_json:
        emit(document.document(record, strict=strict) | {"run_dir": str(record.path)})
    else:
        terminal.show(record)
    return document.exit_code(record, strict=strict)


@command("check", epilog=EPILOG)
@FILES
@JSON
def check_pipeline(files: tuple[Path, ...], as_json: bool) -> int:
    """Say what is wrong with a pipeline file, with line and column."""
    from harness.pipeline.loading import load_pipeline
    from harness.scenario.problem import Problem, ScenarioError

    found: dict[str, tuple[Problem, ...]] = {}
    for path in files:
        try:
            load_pipeline(path)
            found[str(path)] = ()
        except ScenarioError as error:
            found[str(path)] = error.problems
    if as_json:
        emit({"files": {path: [problem.to_json() for problem in problems] for path, problems in found.items()}})
    for name, problems in found.items():
        for line in map(str, problems) if problems else (f"{name}: fine",):
            say(line)
    return USAGE if any(found.values()) else OK


@command("show")
@RUN
@JSON
def show_pipeline(run: Path, as_json: bool) -> int:
    """Show a recorded run of a pipeline, also one that was killed.

    Writes its reports again, and exits with 0 whatever the verdict.
    """
    from harness.pipeline import reading
    from harness.pipeline.report import document, terminal, writing

    record = reading.read(run)
    writing.write(record)
    if as_json:
        emit(document.document(record) | {"run_dir": str(record.path)})
    else:
        terminal.show(record)
    return OK


pipeline = click.Group(
    "pipeline", commands=[run_pipeline, check_pipeline, show_pipeline], help="Build, test, security, deploy, monitor: pipelines."
)
