"""Commands about deploys: a standing site, and versions that are rolled out on it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.console import EPILOG, JSON, OUT, STRICT, CommandError, command, emit, say
from harness.lifecycle.exit_codes import FAILED, NOT_STARTED, OK, USAGE

if TYPE_CHECKING:
    from harness.deploy.carry_out import Options
    from harness.deploy.judging import JudgedDeploy
    from harness.deploy.loading import LoadedPlan
    from harness.deploy.plan import DeployPlan, Strategy
    from harness.deploy.standing import Settings

_FILE = click.argument("file", metavar="FILE", type=click.Path(path_type=Path))


def _deploy(file: Path, strategy: Strategy, out: Path, strict: bool, as_json: bool) -> int:
    from harness.deploy.carry_out import Options
    from harness.deploy.loading import load_plan

    loaded = load_plan(file, strategy)
    return carried_out(loaded, strategy, Options(out=out, argv=tuple(sys.argv), say=say), strict=strict, as_json=as_json)


def carried_out(loaded: LoadedPlan, strategy: Strategy, options: Options, *, strict: bool, as_json: bool) -> int:
    """Carry a deploy out, judge it, and return its exit code. Raises CommandError."""
    from harness.deploy.carry_out import deploy
    from harness.deploy.judging import judge_deploy
    from harness.deploy.routing import RoutingError
    from harness.deploy.site import SiteError
    from harness.stack.base import StackError

    try:
        directory = deploy(loaded, strategy, options)
    except SiteError as error:
        raise CommandError(USAGE, error) from error
    except (StackError, RoutingError) as error:
        raise CommandError(NOT_STARTED, error) from error
    return tell(judge_deploy(directory.path), strict=strict, as_json=as_json)


def tell(judged: JudgedDeploy, *, strict: bool, as_json: bool) -> int:
    """Write the verdict of a deploy, show it, and return its exit code."""
    from dataclasses import replace

    from harness.deploy.judging import write_verdict
    from harness.gate import compared

    judged = replace(judged, verdict=compared(judged.verdict.results, strict=strict))
    write_verdict(judged)
    show_deploy(judged, as_json=as_json)
    return judged.verdict.exit_code


def show_deploy(judged: JudgedDeploy, *, as_json: bool) -> None:
    """The verdict and what it comes from."""
    if as_json:
        emit(judged.to_json())
        return
    for result in judged.verdict.results:
        click.echo(f"{result.status.value:<13} {result.name:<36} {result.reason}")
    click.echo(f"{judged.verdict.status.value}: {judged.verdict.reason}")
    click.echo(f"serving: {judged.serving or 'nobody can tell'}; record: {judged.directory.path}")


@command("blue-green", epilog=EPILOG)
@_FILE
@OUT
@STRICT
@JSON
def blue_green(file: Path, out: Path, strict: bool, as_json: bool) -> int:
    """Start the new version beside the old one, prove it, and give it all traffic in one step."""
    return _deploy(file, "blue_green", out, strict, as_json)


@command("canary", epilog=EPILOG)
@_FILE
@OUT
@STRICT
@JSON
def canary(file: Path, out: Path, strict: bool, as_json: bool) -> int:
    """Give the new version its share of the users step by step, and compare it at each."""
    return _deploy(file, "canary", out, strict, as_json)


@command("rolling", epilog=EPILOG)
@_FILE
@OUT
@STRICT
@JSON
def rolling(file: Path, out: Path, strict: bool, as_json: bool) -> int:
    """Replace one instance after the other."""
    return _deploy(file, "rolling", out, strict, as_json)


@command("up")
@_FILE
@JSON
def up(file: Path, as_json: bool) -> int:
    """Start the site of a deploy file with its base version, and leave it standing.

    Prints where users come in. `gauntlet deploy down NAME` ends it.
    """
    from harness.deploy.loading import load_plan

    return stand(load_plan(file, "blue_green").plan, {}, as_json=as_json)


def stand(plan: DeployPlan, settings: Settings, *, as_json: bool) -> int:
    """Start a site with the base version, whose services are told these variables besides, and show it. Raises CommandError."""
    from harness.deploy.carry_out import open_site
    from harness.deploy.site import Site, SiteError
    from harness.stack.base import StackError

    site = Site(plan.name)
    try:
        if site.stands:
            raise CommandError(USAGE, f"{site.name} stands already: {site.url}")
        open_site(site, plan, site.logs, say, settings)
    except StackError as error:
        raise CommandError(NOT_STARTED, error) from error
    except SiteError as error:
        raise CommandError(USAGE, error) from error
    _show(site.describe(), as_json)
    return OK


@command("status")
@click.argument("name", metavar="NAME")
@JSON
def status(name: str, as_json: bool) -> int:
    """Say which versions of a site stand, and which of them serves."""
    from harness.deploy.site import Site, SiteError

    site = Site(name)
    try:
        if not site.stands:
            raise SiteError(f"no site {name!r} stands; start it: gauntlet deploy up FILE")
        document = site.describe()
    except SiteError as error:
        raise CommandError(USAGE, error) from error
    _show(document, as_json)
    return OK


@command("down")
@click.argument("name", metavar="NAME")
def down(name: str) -> int:
    """End a site with all that stands there."""
    from harness.deploy.site import Site, SiteError

    try:
        ended = Site(name).close()
    except SiteError as error:
        raise CommandError(FAILED, error) from error
    say(f"down: {name} has ended" if ended else f"down: no site {name} stood")
    return OK


def _show(document: dict[str, object], as_json: bool) -> None:
    if as_json:
        emit(document)
        return
    sides = document["sides"]
    assert isinstance(sides, dict)
    click.echo(f"{'users':<10} {document['url']}")
    click.echo(f"{'API key':<10} {document['api_key']}")
    for name, side in sides.items():
        serves = "serves" if name == document["serving"] else "stands"
        click.echo(f"{name:<10} {side['version']:<10} {serves}  {side['url']}")
        for instance, version in side.get("rolled", {}).items():
            click.echo(f"{'':<10} {version:<10} {instance}, since a rolling deploy")


deploy = click.Group(
    "deploy", commands=[blue_green, canary, rolling, up, status, down], help="Roll out a version: blue-green, canary or rolling."
)
