"""What is published of each package, by a database and by an index, and which of them knows it: of what neither does, nothing is proved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from harness.security.advisories import Database, Hit
from harness.security.index import Told
from harness.security.packages import Package

NAMED = 5


@dataclass(frozen=True, slots=True)
class Sources:
    """`database` is None where there is none, for the reason in `no_database`; `index` is what it told, by name and version."""

    database: Database | None
    no_database: str = ""
    index: Mapping[tuple[str, str], Told] | None = None
    no_index: str = ""  # why an index that was named has told nothing
    today: date = date.min
    max_age_days: int = 0

    @property
    def stale(self) -> str:
        """Why the database covers nothing, though it may still find; empty where it does not."""
        if self.database is None:
            return f"no database of advisories at hand: {self.no_database}"
        taken, days = self.database.taken, (self.today - self.database.taken).days
        if days < 0:
            return f"the database is of {taken}, which is yet to come"
        return f"the database is of {taken}: {days} days old, more than {self.max_age_days}" if days > self.max_age_days else ""


@dataclass(frozen=True, slots=True)
class Findings:
    """`hits` with the package each is of; `doubts` say what is not known; `by` says who knows how many, and of which day."""

    hits: Sequence[tuple[Package, Hit]]
    doubts: Sequence[str]
    by: str


def look_up(packages: Sequence[Package], sources: Sources) -> Findings:
    """Of pinned packages."""
    hits: list[tuple[Package, Hit]] = []
    doubts: list[str] = []
    uncovered: list[Package] = []
    known: Counter[str] = Counter()
    stale = sources.stale
    for package in packages:
        found, by, doubt = _of(package, sources, not stale)
        hits += [(package, hit) for hit in found]
        doubts += [doubt] if doubt else []
        known.update([by] if by else [])
        uncovered += [] if by or doubt else [package]
    if uncovered:
        doubts[:0] = [*filter(None, (sources.no_index, stale)), _not_covered(uncovered, packages, sources)]
    return Findings(hits, doubts, ", ".join(f"{count} by {who}" for who, count in sorted(known.items())))


def _of(package: Package, sources: Sources, fresh: bool) -> tuple[list[Hit], str, str]:
    """(hits, who knows this package, what stands in the way of knowing)."""
    told = (sources.index or {}).get((package.name, package.version))
    found = list(told.hits) if told is not None else []
    by = f"the index on {sources.today}" if told is not None and not told.why else ""
    if sources.database is None:
        return found, by, ""
    named = {one for hit in found for one in (hit.id, *hit.aliases)}
    try:
        found += [hit for hit in sources.database.hits(package.name, package.version) if not named & {hit.id, *hit.aliases}]
    except ValueError as error:  # InvalidVersion
        return found, by, "" if by else f"{package.name} {package.version}: cannot be compared: {error}"
    if not by and fresh and sources.database.covered(package.name):
        by = f"the database of {sources.database.taken}"
    return found, by, ""


def _not_covered(uncovered: Sequence[Package], packages: Sequence[Package], sources: Sources) -> str:
    names = ", ".join(one.name for one in uncovered[:NAMED]) + (", …" if len(uncovered) > NAMED else "")
    counted = f"{len(uncovered)} of {len(packages)} packages ({names})"
    if sources.index is None:
        return f"the database does not cover {counted}" if not sources.stale else f"nothing covers {counted}"
    why = sources.index.get((uncovered[0].name, uncovered[0].version), Told()).why
    return f"neither index nor database covers {counted}" + (f"; the index of {uncovered[0].name}: {why}" if why else "")
