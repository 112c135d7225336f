"""`gauntlet gameday`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from harness.commands.console import EPILOG, JSON, OUT, STRICT, CommandError, command, emit, say
from harness.lifecycle.exit_codes import USAGE


@command(epilog=EPILOG)
@click.argument("scenario", metavar="SCENARIO", type=click.Path(path_type=Path))
@OUT
@click.option("--seed", type=click.IntRange(min=0), metavar="N", help="Instead of the scenario's own.")
@click.option("--listen", default="127.0.0.1:0", show_default=True, metavar="HOST:PORT", help="Where the pages are served; without TLS.")
@click.option("--now", is_flag=True, help="Begin at once, and not when the master says so.")
@STRICT
@JSON
def gameday(scenario: Path, out: Path, seed: int | None, listen: str, now: bool, strict: bool, as_json: bool) -> int:
    """Run a scenario with people in it.

    Serves two pages: the master's, where each injection is approved, changed or skipped, and the players', which hold nothing of the
    truth until it is revealed. What people do and say is in the record of the run, and in its report.
    """
    from harness.gameday.server import GameDayError
    from harness.lifecycle.checking import load_checked
    from harness.lifecycle.gameday import GameDay

    loaded, warnings = load_checked(scenario)
    for warning in warnings:
        say(str(warning))
    host, port = address(listen)
    if host not in ("127.0.0.1", "localhost", "::1"):
        say(f"the pages can be reached from elsewhere ({listen}), without TLS: whoever sees an address has its role")
    chosen = loaded.scenario.seed if seed is None else seed
    day = GameDay(loaded, out, chosen, (host, port), wait=not now, quiet=as_json, strict=strict, argv=tuple(sys.argv))
    try:
        outcome = day.carry_out(say)
    except GameDayError as error:
        raise CommandError(USAGE, error) from error
    if as_json:
        emit(outcome.document)
    return outcome.exit_code


def address(text: str) -> tuple[str, int]:
    """`HOST:PORT`. Raises CommandError."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise CommandError(USAGE, f"--listen: {text!r} is no address; write HOST:PORT, for example 127.0.0.1:8800 (port 0: any free one)")
    return host.strip("[]"), int(port)
