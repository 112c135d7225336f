"""Commands about environments: their configuration, checked, shown and compared, and what is deployed with it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.console import EPILOG, JSON, OUT, STRICT, CommandError, command, emit, say
from harness.lifecycle.exit_codes import FAILED, NOT_STARTED, OK, USAGE

if TYPE_CHECKING:
    from harness.environments.checking import LoadedEnvironment
    from harness.scenario.problem import Problem

_DIR = click.option(
    "--dir",
    "folder",
    default="environments",
    show_default=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Where the layers are.",
)


def _load(folder: Path, name: str) -> LoadedEnvironment:
    from harness.environments.checking import load

    return load(folder, name)


@command("check")
@click.argument("names", nargs=-1, metavar="[ENVIRONMENT…]")
@_DIR
@JSON
def check(names: tuple[str, ...], folder: Path, as_json: bool) -> int:
    """Say what cannot work about environments, with file, line and column. Without a name, all of them."""
    from harness.environments.layers import LayersError, known

    wanted = names or tuple(known(folder))
    if not wanted:
        say(f"{folder}: there is no environment; see docs/environments.md")
        return USAGE
    problems: list[Problem] = []
    ids: dict[str, str] = {}
    for name in wanted:
        try:
            ids[name] = _load(folder, name).environment.config_id
        except LayersError as error:
            problems += error.problems
    for name in ids if not as_json else ():
        click.echo(f"{name:<16} {ids[name]}")
    for problem in problems:
        say(str(problem))
    if as_json:
        emit({"environments": ids, "problems": [p.to_json() for p in problems]})
    return USAGE if problems else OK


@command("show")
@click.argument("name", metavar="ENVIRONMENT")
@_DIR
@JSON
def show(name: str, folder: Path, as_json: bool) -> int:
    """Show an environment with its layers laid on one another. Secrets are shown by reference."""
    import yaml

    from harness.environments.showing import shown

    document = shown(_load(folder, name))
    if as_json:
        emit(document)
    else:
        click.echo(f"# {document['environment']} {document['config_id']}, of {', '.join(document['files'])}")
        click.echo(yaml.safe_dump(document["config"], sort_keys=True, allow_unicode=True, width=140), nl=False)
    return OK


@command("diff")
@click.argument("one", metavar="ENVIRONMENT")
@click.argument("other", metavar="ENVIRONMENT")
@_DIR
@JSON
def diff(one: str, other: str, folder: Path, as_json: bool) -> int:
    """Say what is different of two environments. Exits with 0 whatever it is."""
    from harness.environments.showing import differences

    found = differences(_load(folder, one), _load(folder, other))
    if as_json:
        emit({"from": one, "to": other, "differences": found})
    for line in found if not as_json else ():
        click.echo(f"{line['key']}: {_text(line['from'])} -> {_text(line['to'])}")
    return OK


@command("up")
@click.argument("name", metavar="ENVIRONMENT")
@_DIR
@JSON
def up(name: str, folder: Path, as_json: bool) -> int:
    """Start the site of an environment with the base version and this configuration, and leave it standing.

    `gauntlet deploy down NAME` ends it, by the name that is printed.
    """
    from harness.commands.deploy import stand
    from harness.deploy.standing import together
    from harness.environments.deploying import deploy_of

    loaded = _load(folder, name)
    found = deploy_of(loaded, folder)
    return stand(found.base, together(loaded.environment.settings, found.secrets), as_json=as_json)


@command("deploy", epilog=EPILOG)
@click.argument("name", metavar="ENVIRONMENT")
@_DIR
@OUT
@STRICT
@JSON
def deploy(name: str, folder: Path, out: Path, strict: bool, as_json: bool) -> int:
    """Bring a version to an environment, by the deploy file and the strategy that it names."""
    from harness.commands.deploy import carried_out
    from harness.deploy.carry_out import Options
    from harness.environments.deploying import deploy_of

    found = deploy_of(_load(folder, name), folder)
    options = Options(out=out, argv=tuple(sys.argv), say=say, secrets=found.secrets, environment=found.origin)
    return carried_out(found.loaded, found.strategy, options, strict=strict, as_json=as_json)


@command("backup")
@click.argument("name", metavar="ENVIRONMENT")
@_DIR
@click.option("--out", required=True, metavar="FOLDER", type=click.Path(path_type=Path), help="Where it is written; must not exist yet.")
@JSON
def backup(name: str, folder: Path, out: Path, as_json: bool) -> int:
    """Save what the site of an environment holds: its database, vectors and all, and its configuration."""
    from dataclasses import asdict

    from harness.deploy.site import Site, SiteError
    from harness.environments.backup import BackupError, back_up
    from harness.environments.deploying import deploy_of
    from harness.environments.showing import shown

    loaded = _load(folder, name)
    if out.exists():
        raise CommandError(USAGE, f"{out} exists already; name a new folder")
    try:
        made = back_up(Site(deploy_of(loaded, folder).loaded.plan.name), out, shown(loaded), loaded.environment.config_id)
    except SiteError as error:
        raise CommandError(USAGE, error) from error
    except BackupError as error:
        raise CommandError(FAILED, error) from error
    if as_json:
        emit(asdict(made))
    else:
        click.echo(f"{out}: {made.contents.documents} documents of {made.site} {made.version}, taken at {made.taken}")
    return OK


@command("drill", epilog=EPILOG)
@click.argument("name", metavar="ENVIRONMENT")
@click.argument("saved", metavar="BACKUP", type=click.Path(path_type=Path))
@_DIR
@STRICT
@JSON
def drill(name: str, saved: Path, folder: Path, strict: bool, as_json: bool) -> int:
    """Restore a backup into a fresh stack, and measure RPO and RTO against the limits of the environment."""
    import tempfile

    from harness.deploy.site import SiteError
    from harness.environments.backup import Backup, BackupError
    from harness.environments.deploying import deploy_of
    from harness.environments.drill import drill as carry_out
    from harness.gate import compared
    from harness.stack.base import StackError

    loaded = _load(folder, name)
    wanted = loaded.environment.recovery
    if wanted is None:
        problem = loaded.layered.problem((), f"{name} does not say what a backup must give", "add `recovery: {rpo: 5m, rto: 10m}`")
        raise CommandError(USAGE, problem)
    found = deploy_of(loaded, folder)
    try:
        with tempfile.TemporaryDirectory(prefix="drill-") as work:
            results = carry_out(Backup.read(saved), found.loaded.plan, wanted, say, Path(work), found.secrets)
    except BackupError as error:
        raise CommandError(USAGE, error) from error
    except (StackError, SiteError) as error:
        raise CommandError(NOT_STARTED, error) from error
    verdict = compared(results, strict=strict)
    if as_json:
        emit(verdict.to_json())
    for result in results if not as_json else ():
        click.echo(f"{result.status.value:<13} {result.name:<20} {result.reason}{f' ({result.limit})' if result.limit else ''}")
    return verdict.exit_code


def _text(value: object) -> str:
    return "(nothing)" if value is None else str(value)


config = click.Group(
    "config", commands=[check, show, diff, up, deploy, backup, drill], help="Environments: layers of configuration, checked and compared."
)
