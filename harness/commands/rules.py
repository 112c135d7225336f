"""Commands about alert rules: Prometheus' rule files, read, checked and exported. They start nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.console import JSON, CommandError, command, emit, say
from harness.lifecycle.exit_codes import OK, USAGE

if TYPE_CHECKING:
    from harness.ops.alerting.rules.model import Group

_FILES = click.argument("files", nargs=-1, metavar="[FILE…]", type=click.Path(path_type=Path))


@command("check")
@_FILES
@click.option("--time-scale", default=1.0, show_default=True, type=click.FloatRange(1, 3600), help="How much durations are compressed.")
@click.option("--lasts", metavar="DURATION", help="For how long what it should notice lasts: 40s.")
@JSON
def check(files: tuple[Path, ...], time_scale: float, lasts: str | None, as_json: bool) -> int:
    """Say what is wrong with rule files, and which rules could never fire.

    Without FILE, the rules that come along. What cannot be evaluated is an error; what is doubtful is a warning.
    """
    from harness.ops.alerting.rules.checking import check as doubts
    from harness.ops.alerting.rules.reading import RulesError, duration_s

    lasts_s = duration_s(lasts) if lasts is not None else None
    if lasts is not None and not lasts_s:
        raise CommandError(USAGE, f"--lasts: {lasts!r} is no duration; write 40s or 2m")
    errors: list[str] = []
    warnings: list[str] = []
    for path in files or (None,):
        try:
            groups = _read(path)
        except RulesError as error:
            errors += str(error).splitlines()
            continue
        warnings += [str(one) for one in doubts(groups, time_scale=time_scale, lasts_s=lasts_s)]
        rules = sum(len(group.rules) for group in groups)
        if not as_json:
            click.echo(f"{path or 'the rules that come along'}: {rules} rule{'s' if rules != 1 else ''} can be evaluated")
    if as_json:
        emit({"errors": errors, "warnings": warnings})
    for text in errors:
        say(text)
    for text in warnings:
        place, _, rest = text.partition(": ")
        say(f"{place}: warning: {rest}")
    return USAGE if errors else OK


@command("export")
@_FILES
@click.option("--as", "form", type=click.Choice(["prometheus", "grafana"]), default="prometheus", show_default=True, help="What to write.")
def export(files: tuple[Path, ...], form: str) -> int:
    """Write rules for Prometheus, or a Grafana dashboard of them, to standard output.

    Without FILE, the rules that come along.
    """
    from harness.ops.alerting.rules.dashboard import dashboard
    from harness.ops.alerting.rules.reading import RulesError
    from harness.ops.alerting.rules.shipped import shipped_text

    try:
        groups = [group for path in files or (None,) for group in _read(path)]
    except RulesError as error:
        raise CommandError(USAGE, error) from error
    if form == "grafana":
        emit(dashboard(groups))
    elif len(files) > 1:
        raise CommandError(USAGE, "a rule file is exported as it is: name one")
    else:
        click.echo(files[0].read_text(encoding="utf-8") if files else shipped_text(), nl=False)
    return OK


@command("burn")
@click.option("--objective", required=True, metavar="PERCENT", type=float, help="The availability that was promised: 99.5.")
@click.option("--of", "source", type=click.Choice(["client", "gateway"]), default="client", show_default=True, help="Who counts failures.")
def burn(objective: float, source: str) -> int:
    """Write the burn-rate alerts of an objective as a rule file, to standard output.

    Multiwindow, multi-burn-rate, as in the SRE workbook. Rules that even a total outage could not make fire are left out.
    """
    import yaml

    from harness.ops.alerting.rules.burn import SOURCES, burn_rules

    try:
        document = burn_rules(objective / 100, SOURCES[source])
    except ValueError as error:
        raise CommandError(USAGE, f"--objective: {error}") from error
    click.echo(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=140), nl=False)
    return OK


def _read(path: Path | None) -> tuple[Group, ...]:
    """Raises RulesError, and CommandError without the parser."""
    from harness.ops.alerting.rules.reading import read, read_text
    from harness.ops.alerting.rules.shipped import DEFAULT, shipped_text

    try:
        return read(path) if path is not None else read_text(shipped_text(), DEFAULT)
    except ImportError as error:
        raise CommandError(USAGE, "rules cannot be read here: pip install 'rag-gauntlet[run]'") from error


rules = click.Group("rules", commands=[check, export, burn], help="Alert rules: Prometheus' rule files, checked and exported.")
