"""The command line. Thin: parses, calls, prints, and is the only place that exits."""

from __future__ import annotations

import functools
import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ParamSpec

import click

from harness import __version__
from harness.record.store import RecordError
from harness.scenario.problem import Problem, ScenarioError

OK, FAILED, USAGE, INCONCLUSIVE, NOT_STARTED, INTERNAL, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130
# Several files: the worst wins.
_WORST_FIRST = (INTERRUPTED, INTERNAL, USAGE, NOT_STARTED, FAILED, INCONCLUSIVE, OK)

P = ParamSpec("P")

EPILOG = """\b
Exit codes: 0 pass (and warn; --strict makes warn 1) · 1 fail · 2 usage or invalid file · 3 inconclusive
            4 stack did not start · 5 internal error · 130 interrupted
"""


def worst(codes: Sequence[int]) -> int:
    """The exit code of several."""
    return min(codes, key=_WORST_FIRST.index, default=OK)


def say(text: str) -> None:
    """To the person: standard error, so that --json keeps standard output to itself."""
    click.echo(text, err=True)


def emit(document: Any) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(document, indent=2, sort_keys=True, default=str))


def exits(command: Callable[P, int]) -> Callable[P, None]:
    """Turn a command's return value and its known errors into an exit code: one clear line, no traceback."""

    @functools.wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        sys.exit(_guarded(functools.partial(command, *args, **kwargs)))

    return wrapper


def _guarded(command: Callable[[], int]) -> int:
    try:
        return command()
    except (ScenarioError, RecordError) as error:
        say(str(error))
        return USAGE
    except ModuleNotFoundError as error:
        say(f"gauntlet: the package {error.name!r} is not installed; this command needs: pip install 'rag-gauntlet[all]'")
        return USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    except click.ClickException:
        raise
    except Exception as error:  # noqa: BLE001  # the last resort: a defect of ours is exit 5, and never looks like a verdict
        say(f"gauntlet: internal error: {type(error).__name__}: {error}")
        if os.environ.get("GAUNTLET_DEBUG"):
            traceback.print_exc()
        else:
            say("gauntlet: GAUNTLET_DEBUG=1 shows where; please report it")
        return INTERNAL


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}, epilog=EPILOG)
@click.version_option(__version__, prog_name="gauntlet")
def cli() -> None:
    """Break a RAG stack under load; learn whether users are served, alerts fire, the right service is named, it heals by
    itself — and whether this build may ship.

    \b
      gauntlet run scenarios/llm-brownout.yaml     run one scenario, end with one verdict
      gauntlet check my-scenario.yaml              say what is wrong with a file, without starting anything
      gauntlet judge runs/llm-brownout/…           judge a recorded run again, from disk
    """


FILES = click.argument("files", nargs=-1, required=True, metavar="FILE…", type=click.Path(path_type=Path))
RUN = click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output, all else on standard error.")
STRICT = click.option("--strict", is_flag=True, help="Let WARN exit with 1.")


@cli.command("run", epilog=EPILOG)
@FILES
@click.option("--out", default="runs", show_default=True, metavar="DIR", type=click.Path(path_type=Path), help="Where run records go.")
@click.option("--stack", type=click.Choice(["processes"]), help="Driver of the reference stack.")
@click.option("--seed", type=int, metavar="N", help="Instead of the scenario's own.")
@click.option("--repeat", type=click.IntRange(1, 100), default=1, metavar="N", help="Run each file N times, with seeds counting up.")
@STRICT
@JSON
@exits
def run_command(files: tuple[Path, ...], out: Path, stack: str | None, seed: int | None, repeat: int, strict: bool, as_json: bool) -> int:
    """Run scenarios, and judge them."""
    from harness.lifecycle.batch import Batch  # a run needs Locust, databases …; judging does not

    batch = Batch(out=out, stack=stack, seed=seed, repeat=repeat, strict=strict, quiet=as_json, argv=tuple(sys.argv))
    outcomes = batch.carry_out(files, say)
    if as_json:
        documents = [o.document for o in outcomes]
        emit(documents[0] if len(documents) == 1 else {"runs": documents, "exit_code": worst([o.exit_code for o in outcomes])})
    return worst([o.exit_code for o in outcomes])


@cli.command(epilog=EPILOG)
@RUN
@STRICT
@JSON
@exits
def judge(run: Path, strict: bool, as_json: bool) -> int:
    """Judge a recorded run again: same record, same verdict, byte for byte."""
    from harness.judging import judge_run, write_reports
    from harness.report import terminal, verdict_json

    judged = judge_run(run, strict=strict)
    write_reports(judged)
    if as_json:
        emit(verdict_json.document(judged.verdict, judged.history, judged.scenario) | {"run_dir": str(judged.directory.path)})
    else:
        terminal.show(judged.verdict, judged.history, judged.scenario, judged.directory.path)
    return judged.verdict.exit_code


@cli.command()
@RUN
@exits
def report(run: Path) -> int:
    """Write the reports of a recorded run again; prints the path of the HTML page."""
    from harness.judging import judge_run, write_reports

    judged = judge_run(run)
    write_reports(judged)
    click.echo(judged.directory.path / "report.html")
    return OK


@cli.command(epilog=EPILOG)
@FILES
@JSON
@exits
def check(files: tuple[Path, ...], as_json: bool) -> int:
    """Say what is wrong with scenario files, with line and column; starts nothing."""
    from harness.lifecycle.checking import check_file

    found = {str(path): check_file(path) for path in files}
    if as_json:
        emit({"files": {path: [p.to_json() for p in problems] for path, problems in found.items()}})
    for path, problems in found.items():
        for problem in problems:
            say(str(problem))
        if not problems:
            say(f"{path}: fine")
    return USAGE if any(_errors(problems) for problems in found.values()) else OK


def _errors(problems: Sequence[Problem]) -> bool:
    return any(p.severity == "error" for p in problems)


@cli.command("list")
@click.option("--out", default="runs", show_default=True, metavar="DIR", type=click.Path(path_type=Path))
@JSON
@exits
def list_command(out: Path, as_json: bool) -> int:
    """List recorded runs, newest last, with the verdict where one was drawn."""
    from harness.lifecycle.listing import recorded_runs

    rows = recorded_runs(out)
    if as_json:
        emit({"runs": [row.to_json() for row in rows]})
    for row in rows if not as_json else ():
        click.echo(f"{row.verdict:<13} {row.scenario:<28} {row.path}")
    return OK


@cli.command()
@RUN
@JSON
@exits
def show(run: Path, as_json: bool) -> int:
    """Show the verdict of a recorded run as it stands on disk."""
    from harness.judging import judge_run
    from harness.report import terminal, verdict_json

    judged = judge_run(run)
    if as_json:
        emit(verdict_json.document(judged.verdict, judged.history, judged.scenario) | {"run_dir": str(judged.directory.path)})
    else:
        terminal.show(judged.verdict, judged.history, judged.scenario, judged.directory.path)
    return OK


@cli.command()
@click.argument("what", type=click.Choice(["scenario", "verdict"]), default="scenario")
@exits
def schema(what: str) -> int:
    """Print a JSON Schema, for editors and other programs."""
    from harness.report.verdict_json import json_schema as verdict_schema
    from harness.scenario.schema import json_schema as scenario_schema

    emit(scenario_schema() if what == "scenario" else verdict_schema())
    return OK


@cli.command()
@click.argument("file", type=click.Path(path_type=Path), default=Path("gauntlet.yaml"))
@click.option("--name", default="my-service", show_default=True)
@click.option("--url", default="http://127.0.0.1:8000", show_default=True, help="Base URL of your service.")
@exits
def init(file: Path, name: str, url: str) -> int:
    """Write a commented scenario for a service of your own."""
    from harness.scenario.starter import starter

    if file.exists():
        say(f"{file}: exists already; name another file")
        return USAGE
    file.write_text(starter(name, url), encoding="utf-8")
    say(f"{file}: written; next: gauntlet check {file} && gauntlet run {file}")
    return OK


@cli.group()
def faults() -> None:
    """The catalogue of faults."""


@faults.command("list")
@JSON
@exits
def faults_list(as_json: bool) -> int:
    """List what can be injected."""
    from harness.faults.registry import CATALOG, describe

    if as_json:
        emit({"faults": [describe(spec) for spec in CATALOG.values()]})
    for spec in CATALOG.values() if not as_json else ():
        click.echo(f"{spec.name:<26} {spec.summary}")
    return OK


@faults.command("show")
@click.argument("name")
@JSON
@exits
def faults_show(name: str, as_json: bool) -> int:
    """Show one fault: parameters, targets, evidence, an example."""
    from harness.faults.registry import CATALOG, describe
    from harness.report.faults import page
    from harness.scenario.problem import did_you_mean

    if name not in CATALOG:
        say(f"no such fault: {name!r}; {did_you_mean(name, CATALOG) or 'see: gauntlet faults list'}")
        return USAGE
    if as_json:
        emit(describe(CATALOG[name]))
    else:
        click.echo(page(describe(CATALOG[name])))
    return OK


def main() -> None:
    """Entry point of the `gauntlet` command."""
    from harness.commands import register

    register(cli)
    cli()


if __name__ == "__main__":
    main()
