"""The command that reviews deployments from their files. It starts nothing, and asks nobody."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.console import EPILOG, JSON, CommandError, command, emit, say
from harness.lifecycle.exit_codes import FAILED, INCONCLUSIVE, OK, USAGE

if TYPE_CHECKING:
    from harness.audit.review import Review

_VERDICTS = {OK: "PASS", FAILED: "FAIL", INCONCLUSIVE: "INCONCLUSIVE"}


@command(epilog=EPILOG)
@click.argument("paths", nargs=-1, metavar="PATH…", type=click.Path(path_type=Path))
@click.option("--sarif", metavar="FILE", type=click.Path(path_type=Path), help="Write the findings as SARIF 2.1.0, too.")
@click.option("--strict", is_flag=True, help="Let warnings exit with 1.")
@click.option("--rules", is_flag=True, help="Say what is looked for, instead.")
@JSON
def audit(paths: tuple[Path, ...], sarif: Path | None, strict: bool, rules: bool, as_json: bool) -> int:
    """Review compose files and Kubernetes manifests.

    Redundancy, health checks, limits, authentication, encryption, secrets, isolation: each finding with file, line and column. A comment
    `# gauntlet: allow RULE because …` allows one.
    """
    from harness.audit.review import review
    from harness.audit.rules import RULES
    from harness.report import sarif as writing

    if rules:
        return _explain(as_json)
    if not paths:
        raise CommandError(USAGE, "nothing to review; name a compose file, a manifest, or a folder of them")
    found = review(paths, Path.cwd())
    code = _exit_code(found, strict)
    if sarif is not None:
        try:
            sarif.write_bytes(writing.of_findings(found.findings, RULES, category="audit"))
        except OSError as error:
            raise CommandError(USAGE, f"{sarif}: cannot be written: {error.strerror}") from error
    if as_json:
        emit({**found.to_json(), "verdict": _VERDICTS[code], "exit_code": code})
    _tell(found, code)
    return code


def _exit_code(found: Review, strict: bool) -> int:
    levels = {finding.level for finding in found.findings}
    if "error" in levels or (strict and "warning" in levels):
        return FAILED
    return OK if found.reviewed else INCONCLUSIVE


def _tell(found: Review, code: int) -> None:
    from harness.findings import counted

    for finding in found.findings:
        say(str(finding))
    if code == INCONCLUSIVE:
        names = ", ".join(found.skipped[:3]) or "no YAML file"
        say(f"INCONCLUSIVE: nothing to review in {names}; name a compose file with services, or Kubernetes manifests")
    else:
        say(f"{_VERDICTS[code]}: {len(found.reviewed)} reviewed: {counted(found.findings) or 'no findings'}")


def _explain(as_json: bool) -> int:
    from harness.audit.rules import RULES

    if as_json:
        emit({rule.id: {"level": rule.level, "what": rule.what, "instead": rule.instead, "help": rule.help} for rule in RULES.values()})
    else:
        for rule in RULES.values():
            click.echo(f"{rule.id} ({rule.level}): {rule.what}; {rule.instead}")
    return OK
