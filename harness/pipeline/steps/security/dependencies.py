"""Are there published vulnerabilities of what is installed, pinned or billed? By a database whose age is a check itself, or by an index.

What neither of them covers, or only a database that is too old, is not known to be free of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from harness.findings import Finding
from harness.pipeline.step import Context, StepResult
from harness.pipeline.steps.security.telling import answer
from harness.record.clock import utc_now
from harness.scenario.fields import Model
from harness.score.check import Status
from harness.security import index
from harness.security.accepted import AcceptedError, Fingerprinted, fingerprint, load, without_accepted
from harness.security.advisories import Hit
from harness.security.database import DatabaseError
from harness.security.database import load as load_database
from harness.security.looking_up import Sources, look_up
from harness.security.packages import Package, billed, installed, pinned

SHIPPED = Path(__file__).parents[3] / "security" / "snapshot"


class Dependencies(Model):
    """Of which packages, and by whose word."""

    requirements: list[str] = Field(default_factory=list, description="requirement files; default: what is installed in this environment")
    bills: str = Field(default="", description="CycloneDX bills of materials, with a comma between two: `${steps.sbom.wheel}`")
    database: str | None = Field(
        default=None,
        description="path or address of OSV's export of PyPI (`all.zip`), or a folder in its format; default: the one that comes along",
    )
    index: str | None = Field(default=None, description="address of an index with PyPI's JSON API (`…/pypi`), asked about each package")
    max_age_days: Annotated[int, Field(ge=1)] = Field(default=14, description="an older database proves nothing")
    uncovered: Literal["inconclusive", "warn"] = Field(
        default="inconclusive",
        description="what packages are that nothing of permitted age covers; `warn`: for want of a whole database, which is known",
    )
    accepted: str | None = Field(default=None, description="a YAML list of {fingerprint, reason}")


def carry_out(options: Dependencies, context: Context) -> StepResult:
    """FAIL for a vulnerable package; INCONCLUSIVE for one that neither the index nor a database of permitted age covers."""
    try:
        packages = _packages(options, context.root)
        accepted = load(context.root / options.accepted if options.accepted else None)
    except (OSError, ValueError) as error:  # AcceptedError is one
        return StepResult(Status.FAIL if isinstance(error, AcceptedError) else Status.INCONCLUSIVE, str(error))
    if not packages:
        return StepResult(Status.INCONCLUSIVE, "no package to look up")
    versions = [one for one in packages if one.version]
    found = look_up(versions, _sources(options, context, versions))
    told = [*(_unpinned(one) for one in packages if not one.version), *(_vulnerable(*one) for one in found.hits)]
    findings = without_accepted(told, accepted, options.accepted or "")
    done = answer(context, "dependencies", findings, f"{len(packages)} packages, none with an advisory: {found.by}", found.doubts)
    if done.status is Status.INCONCLUSIVE and options.uncovered == "warn":
        return replace(done, status=Status.WARN, reason=f"not known to be free of advisories, which this pipeline lets pass: {done.reason}")
    return done


def _packages(options: Dependencies, root: Path) -> list[Package]:
    """Raises OSError, ValueError."""
    if not options.requirements and not options.bills:
        return installed()
    listed = [one for name in options.requirements for one in pinned(root / name, name)]
    found = [one for name in filter(None, options.bills.split(",")) for one in billed(root / name, name)]
    return [*listed, *{(one.name, one.version): one for one in found}.values()]


def _sources(options: Dependencies, context: Context, packages: Sequence[Package]) -> Sources:
    database, no_database, told, no_index = None, "", None, ""
    place = options.database if options.database is None or "://" in options.database else context.root / options.database
    context.say(f"looking up {len(packages)} packages")
    try:
        database = load_database(place or SHIPPED, {one.name for one in packages})
    except DatabaseError as error:
        no_database = str(error)
    if options.index is not None and packages:
        try:
            told = index.ask(options.index, [(one.name, one.version) for one in packages])
        except index.IndexUnreachableError as error:
            no_index = str(error)
    return Sources(database, no_database, told, no_index, utc_now().date(), options.max_age_days)


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
