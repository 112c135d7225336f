"""Logs of any deployment: analysed, and kept within bounds."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from harness.commands.console import JSON, CommandError, ExitCodeCommand, emit, say
from harness.lifecycle.exit_codes import INCONCLUSIVE, OK, USAGE

PATHS = click.argument("paths", nargs=-1, required=True, metavar="PATH…", type=click.Path(path_type=Path))


@click.group()
def logs() -> None:
    """Analyse logs, or keep them within bounds."""


@logs.command(cls=ExitCodeCommand)
@PATHS
@click.option("--hours", type=click.FloatRange(min=0, min_open=True), help="Only what is not older than that; default: everything.")
@click.option("--slow", default="2s", show_default=True, metavar="DURATION", help="Requests that take longer are slow.")
@JSON
def analyze(paths: tuple[Path, ...], hours: float | None, slow: str, as_json: bool) -> int:
    """Count what failed and what was slow, in files or in folders with their rotated and compressed logs.

    JSON lines, as the reference stack writes them, tell most; of plain lines, time and level are taken. Ends with 3 where no line is that
    young.
    """
    from harness.ops.logs.analysis import Analysis
    from harness.ops.logs.entries import entry_of
    from harness.ops.logs.files import LogFileError, found, lines
    from harness.record.clock import utc_now
    from harness.scenario.units import duration_s

    try:
        analysis = Analysis(None if hours is None else utc_now().timestamp() - hours * 3600, duration_s(slow))
        for path in found(paths):
            for line in lines(path):
                analysis.unstructured += not line.structured
                analysis.take([entry_of(line)])
    except LogFileError as error:
        raise CommandError(USAGE, error) from error
    except ValueError as error:
        raise CommandError(USAGE, f"--slow: {error}") from error
    document = {**analysis.to_json(), "unstructured": analysis.unstructured}
    if as_json:
        emit(document)
    else:
        _print(document)
    return OK if analysis.entries else INCONCLUSIVE


@logs.command(cls=ExitCodeCommand)
@PATHS
@click.option("--compress-after", default="24h", show_default=True, metavar="DURATION", help="Rotated files older than that become *.gz.")
@click.option("--remove-after", default="168h", show_default=True, metavar="DURATION", help="Rotated files older than that are removed.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@JSON
def prune(paths: tuple[Path, ...], compress_after: str, remove_after: str, dry_run: bool, as_json: bool) -> int:
    """Compress and remove rotated logs (app.log.1, app.log-20261130, app.log.2.gz). The log that is written now is never touched."""
    from harness.ops.logs.files import found
    from harness.ops.logs.retention import keep
    from harness.record.clock import utc_now
    from harness.scenario.units import duration_s

    try:
        bounds = (duration_s(compress_after), duration_s(remove_after, longest_s=10 * 365 * 24 * 3600.0))
        kept = keep(found(paths), utc_now().timestamp(), *bounds, dry_run=dry_run)
    except ValueError as error:
        raise CommandError(USAGE, error) from error
    if as_json:
        emit({"compressed": list(map(str, kept.compressed)), "removed": list(map(str, kept.removed)), "freed_bytes": kept.freed_bytes})
        return OK
    would = "would be " if dry_run else ""
    for path in kept.compressed:
        click.echo(f"{would}compressed {path}")
    for path in kept.removed:
        click.echo(f"{would}removed    {path}")
    say(f"logs: {len(kept.compressed)} {would}compressed, {len(kept.removed)} {would}removed, {kept.freed_bytes / 2**20:.1f} MiB freed")
    return OK


def _print(found: dict[str, Any]) -> None:
    if not found["entries"]:
        click.echo(f"no entry in that time; {found['older']} are older")
        return
    span = f"{_date(found['from_s'])} to {_date(found['to_s'])}" if found["from_s"] is not None else "without times"
    plain = f"{found['unstructured']} plain lines"
    click.echo(f"{found['entries']} entries, {span}; {found['errors']} errors, {found['warnings']} warnings, {plain}")
    if found["requests"]:
        slow = f"{found['slow']} slower than {found['slow_s']:g} s"
        click.echo(f"{found['requests']} requests, {found['failed']} failed ({found['error_rate']:.2%}), {slow}")
    if found["durations"]:
        click.echo(f"{'':<40} {'requests':>9} {'failed':>7} {'mean s':>8} {'p50':>8} {'p95':>8} {'p99':>8} {'max':>8}")
    for name, of in found["routes"].items():
        times = " ".join(f"{of[key]:>8.3f}" for key in ("mean_s", "p50_s", "p95_s", "p99_s", "max_s"))
        click.echo(f"{name:<40} {of['count']:>9} {of['failed']:>7} {times}")
    for title, key in (("error types", "error_types"), ("providers", "providers"), ("models", "models"), ("statuses", "statuses")):
        if found[key]:
            click.echo(f"{title}: {', '.join(f'{name} {n}' for name, n in found[key].items())}")
    for one in found["slowest"][:5]:
        click.echo(f"slow: {one['duration_s']:.2f} s {one['service']} {one['route']} at {_date(one['at_s'])}")


def _date(at_s: float | None) -> str:
    return datetime.fromtimestamp(at_s, tz=UTC).strftime("%Y-%m-%d %H:%M:%SZ") if at_s is not None else "an unknown time"
