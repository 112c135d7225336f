"""Commands about scenario files. They start nothing."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.console import EPILOG, FILES, JSON, CommandError, command, emit, say
from harness.lifecycle.exit_codes import OK, USAGE


@command(epilog=EPILOG)
@FILES
@JSON
def check(files: tuple[Path, ...], as_json: bool) -> int:
    """Say what is wrong with a file, with line and column."""
    from harness.lifecycle.checking import check_file

    found = {str(path): check_file(path) for path in files}
    if as_json:
        emit({"files": {path: [p.to_json() for p in problems] for path, problems in found.items()}})
    for path, problems in found.items():
        for problem in problems:
            say(str(problem))
        if not problems:
            say(f"{path}: fine")
    broken = any(problem.severity == "error" for problems in found.values() for problem in problems)
    return USAGE if broken else OK


@command()
@click.argument("what", type=click.Choice(["scenario", "pipeline", "verdict"]), default="scenario")
def schema(what: str) -> int:
    """Print a JSON Schema, for editors and other programs."""
    from harness.pipeline.schema import json_schema as pipeline_schema
    from harness.report.verdict_json import json_schema as verdict_schema
    from harness.scenario.schema import json_schema as scenario_schema

    emit({"scenario": scenario_schema, "pipeline": pipeline_schema, "verdict": verdict_schema}[what]())
    return OK


@command()
@click.argument("file", type=click.Path(path_type=Path), default=Path("gauntlet.yaml"))
@click.option("--name", default="my-service", show_default=True)
@click.option("--url", default="http://127.0.0.1:8000", show_default=True, help="Base URL of your service.")
def init(file: Path, name: str, url: str) -> int:
    """Write a commented scenario for a service of your own."""
    from harness.scenario.loader import load_text
    from harness.scenario.starter import starter

    text = starter(name, url)
    load_text(text, str(file))  # a name that no scenario may have is refused here, with the reason
    try:
        with file.open("x", encoding="utf-8") as written:
            written.write(text)
    except FileExistsError:
        raise CommandError(USAGE, f"{file}: exists already; name another file") from None
    except OSError as error:
        raise CommandError(USAGE, f"{file}: cannot be written: {error.strerror}") from error
    say(f"{file}: written; next: gauntlet check {file} && gauntlet run {file}")
    return OK
