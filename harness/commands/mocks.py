"""Commands about the mocks alone: start one, and grade those who call it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.commands.console import EPILOG, JSON, CommandError, command, emit, say
from harness.lifecycle.exit_codes import FAILED, INCONCLUSIVE, INTERNAL, NOT_STARTED, OK, USAGE

if TYPE_CHECKING:
    from harness.lifecycle.mock_server import MockServer
    from harness.record.provider import ProviderJournal

TOKEN_VARIABLE = "GAUNTLET_MOCK_TOKEN"
_PORT = click.IntRange(0, 65_535)
_FILE = click.Path(path_type=Path)


def _mock_command(kind: str, port: int, help_text: str) -> click.Command:
    options: list[Callable[[Any], Any]] = [
        click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on."),
        click.option("--allow-remote", is_flag=True, help="Let --host be an address that other machines reach."),
        click.option("--port", type=_PORT, default=port, show_default=True, metavar="P", help="0: any that is free."),
        click.option("--admin-port", type=_PORT, default=0, show_default=True, metavar="A", help="Of the admin API; 0: any that is free."),
        click.option(
            "--admin-token", envvar=TOKEN_VARIABLE, metavar="T", help=f"Of the admin API; else ${TOKEN_VARIABLE}, else a fresh one."
        ),
        click.option("--profile", type=_FILE, metavar="FILE", help="What it serves and how fast: see docs/mocks.md."),
        click.option("--seed", type=click.IntRange(min=0), metavar="N", help="Of all that is drawn; instead of the profile's."),
        click.option("--fault", "faults", multiple=True, metavar="JSON|@FILE", help="A fault in force from the start; repeatable."),
        click.option("--quiet", is_flag=True, help="No line for each request."),
        click.option(
            "--json", "as_json", is_flag=True, help="One line of JSON on standard output once it is ready, all else on standard error."
        ),
    ]

    def serve(**given: Any) -> int:
        return _serve(kind, **given)

    serve.__doc__ = help_text
    for option in reversed(options):
        serve = option(serve)
    made: click.Command = command(kind)(serve)
    return made


def _serve(
    kind: str,
    host: str,
    allow_remote: bool,
    port: int,
    admin_port: int,
    admin_token: str | None,
    profile: Path | None,
    seed: int | None,
    faults: tuple[str, ...],
    quiet: bool,
    as_json: bool,
) -> int:
    from harness.lifecycle.mock_address import MockStartError
    from harness.lifecycle.mock_documents import MockUsageError, faults_of, named
    from harness.lifecycle.mock_server import Asked, MockServer
    from harness.lifecycle.signals import interruptible
    from harness.scenario.hosts import is_loopback

    if not is_loopback(host) and not allow_remote:
        raise CommandError(USAGE, f"{host} can be reached from other machines; if that is meant, add --allow-remote")
    try:
        documents = named([fault for text in faults for fault in faults_of(text)])
        token = admin_token or secrets.token_urlsafe(24)
        server = MockServer(Asked(kind, host, port, admin_port, token, profile, seed, documents, quiet))
        with interruptible() as interruption:
            try:
                server.start(say)
                _tell(server, as_json)
                ended = server.wait(interruption)
            finally:
                server.stop()
    except MockUsageError as error:
        raise CommandError(USAGE, error) from error
    except MockStartError as error:
        raise CommandError(NOT_STARTED, error) from error
    if ended is not None:
        raise CommandError(INTERNAL, ended)
    return OK


def _tell(server: MockServer, as_json: bool) -> None:
    facts = server.describe()
    if as_json:
        click.echo(json.dumps(facts))
        return
    for name, value in facts["env"].items():
        click.echo(f"{name}={value}")
    click.echo(f"admin API  {facts['admin_url']}/admin (Authorization: Bearer {facts['admin_token']})")
    for fault in facts["faults"]:
        click.echo(f"fault      {fault} is in force")
    click.echo("Ctrl-C ends it.")


@command("faults")
@click.argument("of", metavar="[llm|vector]", type=click.Choice(["llm", "vector"]), default="llm")
@click.argument("name", required=False)
@JSON
def list_faults(of: str, name: str | None, as_json: bool) -> int:
    """List what a mock can be made to do, or show one fault."""
    from harness.lifecycle.mock_documents import MockUsageError
    from harness.lifecycle.mock_faults import fault_page
    from harness.lifecycle.mock_server import check_installed
    from harness.scenario.problem import did_you_mean

    try:
        check_installed()
        page = fault_page(of)
    except MockUsageError as error:
        raise CommandError(USAGE, error) from error
    if name is not None and name not in page.sections:
        raise CommandError(USAGE, f"no such fault: {name!r}; {did_you_mean(name, page.sections)}")
    names = page.summaries if name is None else [name]
    if as_json:
        emit({"faults": [{"name": n, "summary": page.summaries[n], "page": page.sections[n]} for n in names]})
    elif name is not None:
        click.echo(page.sections[name])
    else:
        for n, summary in page.summaries.items():
            click.echo(f"{n:<26} {summary}")
    return OK


@command(epilog=EPILOG)
@click.option("--admin", metavar="URL", help="Admin API of a mock that runs.")
@click.option("--token", envvar=TOKEN_VARIABLE, metavar="T", help=f"Of the admin API; else ${TOKEN_VARIABLE}.")
@click.option(
    "--journal", "files", type=_FILE, multiple=True, metavar="FILE", help="A saved journal, or provider/*.jsonl of a run; repeatable."
)
@click.option(
    "--fail-on", type=click.Choice(["fail", "warn"]), default="fail", show_default=True, help="From which level on to exit with 1."
)
@click.option("--idle-s", type=click.FloatRange(min=0.1), default=30.0, show_default=True, help="Longest pause within one call.")
@click.option(
    "--read-timeout-s", type=click.FloatRange(min=0.1), default=30.0, show_default=True, help="Longest wait on a silent provider."
)
@click.option("--most-attempts", type=click.IntRange(min=1), default=10, show_default=True, help="Of one call; more are a storm.")
@click.option(
    "--amplification", type=click.FloatRange(min=1), default=4.0, show_default=True, help="Most attempts per call that met trouble."
)
@JSON
def report(
    admin: str | None,
    token: str | None,
    files: tuple[Path, ...],
    fail_on: str,
    idle_s: float,
    read_timeout_s: float,
    most_attempts: int,
    amplification: float,
    as_json: bool,
) -> int:
    """Grade the callers of a mock by what its journal shows.

    Who ignores Retry-After, repeats what cannot help, storms, takes a truncated stream for an answer? Ask when the calls are over:
    what had no time to happen is not seen.
    """
    from harness.report import clients
    from harness.score.check import Status
    from harness.score.clients import grade
    from harness.score.clients_rules import Limits

    journals = _journals(admin, token, files)
    rows = [row for journal in journals for row in journal.rows]
    missing = [f"{journal.service}: {reason}" for journal in journals for reason in journal.missing]
    found = grade(rows, Limits(idle_s, read_timeout_s, most_attempts, amplification), missing)
    failed = found.status is Status.FAIL or (fail_on == "warn" and any(f.level is Status.WARN for f in found.findings))
    code = FAILED if failed else INCONCLUSIVE if found.status is Status.INCONCLUSIVE else OK
    if as_json:
        emit({**found.to_json(), "exit_code": code})
    else:
        clients.show(found)
    return code


def _journals(admin: str | None, token: str | None, files: tuple[Path, ...]) -> list[ProviderJournal]:
    from harness.lifecycle.provider_journal import ProviderJournalError, live_journal, saved_journal

    if bool(files) == bool(admin):
        raise CommandError(USAGE, "give the journal to grade: either --admin URL of a mock that runs, or --journal FILE")
    try:
        return [saved_journal(file) for file in files] if admin is None else [live_journal(admin, token or "")]
    except ProviderJournalError as error:
        raise CommandError(USAGE, error) from error


mock = click.Group(
    "mock",
    commands=[
        _mock_command("llm", 8080, "Start the mock LLM provider: the APIs of OpenAI, Azure OpenAI and Anthropic."),
        _mock_command("qdrant", 6333, "Start the mock of Qdrant's REST API."),
        _mock_command("chroma", 8000, "Start the mock of Chroma's v2 REST API."),
        list_faults,
        report,
    ],
    help="The mocks alone, and a report on those who call them.",
)
