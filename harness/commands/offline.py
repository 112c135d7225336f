"""Commands on exported files: score a series, rank the causes of an incident. They start nothing."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.console import JSON, CommandError, command, emit, say
from harness.lifecycle.exit_codes import OK, USAGE

_FILE = click.Path(path_type=Path)


@command()
@click.argument("file", type=_FILE, metavar="FILE.csv")
@click.option("--timestamp-col", required=True, metavar="C", help="The column with the times: numbers, or dates.")
@click.option("--value-col", "value_cols", required=True, multiple=True, metavar="C", help="What to score; several with mewma, pca, mmd.")
@click.option("--out", required=True, type=_FILE, metavar="OUT.csv", help="Where the table is written, with a column anomaly_score.")
@click.option("--detector", "name", default="ensemble", show_default=True, metavar="NAME", help="Which detector scores.")
def detect(file: Path, timestamp_col: str, value_cols: tuple[str, ...], out: Path, name: str) -> int:
    """Score each value of a series by those before it.

    Adds a column anomaly_score between 0 and 1; above 0.5 the default detector would alert. No row is scored by what comes after it.
    """
    from harness.ops.monitoring.detectors.registry import UnknownDetectorError, create_for
    from harness.ops.offline.cells import TableError
    from harness.ops.offline.scoring import score_file

    try:
        scored = score_file(file, out, timestamp_col, value_cols, create_for(name, len(value_cols)))
    except (TableError, UnknownDetectorError) as error:
        raise CommandError(USAGE, error) from error
    say(f"{out}: {scored.rows} rows scored by {name}{f', {scored.missing} of them without a value' if scored.missing else ''}")
    return OK


@command()
@click.option("--metrics", required=True, type=_FILE, metavar="FILE", help="CSV or Parquet: timestamp, and columns <service>/<metric>.")
@click.option("--graph", required=True, type=_FILE, metavar="FILE.json", help='Who calls whom: {"edges": [["caller", "callee"]]}.')
@click.option("--onset", required=True, metavar="T", help="When it began, as in the table; up to a minute late costs little.")
@click.option("--slo", metavar="COLUMN", help="The column whose objective is violated; else that of a service that nobody calls.")
@JSON
def diagnose(metrics: Path, graph: Path, onset: str, slo: str | None, as_json: bool) -> int:
    """Rank the causes of a recorded incident.

    At most five services, best first; none where nothing is wrong.
    """
    from harness.ops.diagnosis.incident import TooShortError
    from harness.ops.diagnosis.incident import diagnose as rank
    from harness.ops.offline.cells import TableError
    from harness.ops.offline.incidents import load

    try:
        causes = rank(load(metrics, graph, onset, slo))
    except (TableError, TooShortError) as error:
        raise CommandError(USAGE, error if isinstance(error, TableError) else f"{metrics}: {error}") from error
    if as_json:
        emit({"causes": [{"service": c.service, "kind": c.kind, "confidence": c.confidence, "evidence": c.evidence} for c in causes]})
        return OK
    for n, cause in enumerate(causes, 1):
        click.echo(f"{n}. {cause.service}: {cause.kind}, confidence {cause.confidence:.2f}; {cause.evidence}")
    if not causes:
        click.echo("nothing moved at the onset that would explain anything: no cause")
    return OK
