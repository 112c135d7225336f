"""Are there published vulnerabilities of what is installed or pinned? By a dated database on disk, whose age is a check itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import Field

from harness.findings import Finding
from harness.pipeline.step import Context, StepResult
from harness.pipeline.steps.security.telling import answer
from harness.record.clock import utc_now
from harness.scenario.fields import Model
from harness.score.check import Status
from harness.security.accepted import AcceptedError, Fingerprinted, fingerprint, load, without_accepted
from harness.security.advisories import Database, DatabaseError, Hit
from harness.security.advisories import load as load_database
from harness.security.packages import Package, installed, pinned

SHIPPED = Path(__file__).parents[3] / "security" / "snapshot"


class Dependencies(Model):
    """Of which packages, and by which database."""

    requirements: list[str] = Field(default_factory=list, description="requirement files; default: what is installed in this environment")
    database: str | None = Field(
        default=None, description="a folder in the OSV format with a snapshot.json; default: the one that comes along"
    )
    max_age_days: Annotated[int, Field(ge=1)] = Field(default=14, description="an older database proves nothing")
    accepted: str | None = Field(default=None, description="a YAML list of {fingerprint, reason}")


def carry_out(options: Dependencies, context: Context) -> StepResult:
    """FAIL for a vulnerable package; INCONCLUSIVE without a database, with an old one, and for packages that it does not cover."""
    try:
        packages = (
            [one for name in options.requirements for one in pinned(context.root / name, name)] if options.requirements else installed()
        )
        accepted = load(context.root / options.accepted if options.accepted else None)
    except (OSError, ValueError) as error:  # AcceptedError is one
        return StepResult(Status.FAIL if isinstance(error, AcceptedError) else Status.INCONCLUSIVE, str(error))
    if not packages:
        return StepResult(Status.INCONCLUSIVE, "no package to look up")
    try:
        database = load_database(context.root / options.database if options.database else SHIPPED)
    except DatabaseError as error:
        return StepResult(Status.INCONCLUSIVE, f"no database of advisories at hand: {error}")
    today = utc_now().date()
    found, doubts = _looked_up(packages, database)
    findings = without_accepted(found, accepted, options.accepted or "")
    return answer(context, "dependencies", findings, f"{len(packages)} packages, none with an advisory of {database.taken}", [
        *_age(database, today, options.max_age_days), *doubts,
    ])  # fmt: skip


def _looked_up(packages: Sequence[Package], database: Database) -> tuple[list[Fingerprinted], list[str]]:
    found, uncovered, doubts = [], [], []
    for package in packages:
        if not package.version:
            found.append(_unpinned(package))
            continue
        try:
            found += [_vulnerable(package, hit) for hit in database.hits(package.name, package.version)]
        except ValueError as error:  # InvalidVersion
            doubts.append(f"{package.name} {package.version}: cannot be compared: {error}")
        if not database.covered(package.name):
            uncovered.append(package.name)
    if uncovered:
        doubts.insert(0, f"the database does not cover {len(uncovered)} of {len(packages)} packages ({', '.join(uncovered[:5])}, …)")
    return found, doubts


def _vulnerable(package: Package, hit: Hit) -> Fingerprinted:
    known = f"{hit.id} ({', '.join(hit.aliases)})" if hit.aliases else hit.id
    instead = (
        f"install {package.name} {' or '.join(hit.fixed)}"
        if hit.fixed
        else "no fixed version is known: replace it, or accept it with a reason"
    )
    message = f"{package.name} {package.version}: {known}: {hit.summary}"
    finding = Finding("dependencies.vulnerable", "error", message, instead, package.path, package.line)
    return Fingerprinted(finding, fingerprint("dependencies", hit.id, package.name, package.version))


def _unpinned(package: Package) -> Fingerprinted:
    finding = Finding(
        "dependencies.unpinned", "warning", f"{package.name} is not pinned", f"write {package.name}==…", package.path, package.line
    )
    return Fingerprinted(finding, fingerprint("unpinned", package.path, package.name))


def _age(database: Database, today: date, most: int) -> list[str]:
    days = (today - database.taken).days
    if days < 0:
        return [f"the database is of {database.taken}, which is yet to come"]
    return [f"the database is of {database.taken}: {days} days old, more than {most}"] if days > most else []
