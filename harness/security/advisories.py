"""Which versions are vulnerable, by a database in the OSV format (Open Source Vulnerability format, schema 1.x) read from disk.

A database is a folder with a `snapshot.json` (`{"taken": "2026-11-30", "covers": "all" | [package, …]}`) and one JSON document an advisory.
`covers` names the packages whose advisories are all there: of any other package, nothing found proves nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

MAX_FILES = 200_000
ECOSYSTEM = "PyPI"


class DatabaseError(ValueError):
    """There is no database, or none that can be read."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A package at a version that an advisory names."""

    id: str
    aliases: tuple[str, ...]
    package: str
    version: str
    fixed: tuple[str, ...]
    summary: str


@dataclass(frozen=True, slots=True)
class Database:
    """Advisories by canonical package name. `covers` is None where it covers every package."""

    taken: date
    covers: frozenset[str] | None
    by_package: Mapping[str, Sequence[Mapping[str, Any]]]

    def covered(self, package: str) -> bool:
        """Would its advisories be here?"""
        return self.covers is None or canonicalize_name(package) in self.covers

    def hits(self, package: str, version: str) -> list[Hit]:
        """Advisories that this version falls under. Raises InvalidVersion where versions cannot be compared."""
        name = canonicalize_name(package)
        return [_hit(one, name, version) for one in self.by_package.get(name, ()) if _is_affected(one, name, version)]


def load(folder: Path) -> Database:
    """Raises DatabaseError."""
    try:
        about = json.loads((folder / "snapshot.json").read_text(encoding="utf-8"))
        taken = date.fromisoformat(about["taken"])
        covers = None if about["covers"] == "all" else frozenset(canonicalize_name(name) for name in about["covers"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatabaseError(f"{folder / 'snapshot.json'}: {type(error).__name__}: {error}") from error
    by_package: dict[str, list[Mapping[str, Any]]] = {}
    paths = sorted(path for path in folder.rglob("*.json") if path.name != "snapshot.json")
    if len(paths) > MAX_FILES:
        raise DatabaseError(f"{folder}: more than {MAX_FILES} advisories")
    for path in paths:
        try:
            advisory = json.loads(path.read_text(encoding="utf-8"))
            names = {canonicalize_name(one["package"]["name"]) for one in advisory["affected"] if one["package"]["ecosystem"] == ECOSYSTEM}
            str(advisory["id"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DatabaseError(f"{path}: no advisory in the OSV format: {type(error).__name__}: {error}") from error
        if "withdrawn" not in advisory:
            for name in names:
                by_package.setdefault(name, []).append(advisory)
    return Database(taken, covers, by_package)


def affected(version: Version, events: Iterable[Mapping[str, str]]) -> bool:
    """Does a version lie in a range? The evaluation of the OSV schema: the last event at or below it decides."""
    inside = False
    for kind, at in sorted(_events(events), key=lambda event: (event[1] is not None, event[1] or Version("0"))):
        if kind == "introduced" and (at is None or version >= at):
            inside = True
        elif at is not None and ((kind == "fixed" and version >= at) or (kind == "last_affected" and version > at)):
            inside = False
    return inside


def _events(events: Iterable[Mapping[str, str]]) -> Iterable[tuple[str, Version | None]]:
    for event in events:
        for kind, text in event.items():
            if kind in ("introduced", "fixed", "last_affected"):
                yield kind, None if kind == "introduced" and text == "0" else Version(text)


def _of_package(advisory: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    return [
        one
        for one in advisory["affected"]
        if one["package"]["ecosystem"] == ECOSYSTEM and canonicalize_name(one["package"]["name"]) == name
    ]


def _is_affected(advisory: Mapping[str, Any], name: str, version: str) -> bool:
    parsed = Version(version)
    for one in _of_package(advisory, name):
        if any(_same(parsed, listed) for listed in one.get("versions", ())):
            return True
        ranges = [part["events"] for part in one.get("ranges", ()) if part["type"] == "ECOSYSTEM"]
        if any(affected(parsed, events) for events in ranges):
            return True
    return False


def _same(version: Version, listed: str) -> bool:
    try:
        return Version(listed) == version
    except InvalidVersion:  # of a release that no installer takes any more
        return False


def _hit(advisory: Mapping[str, Any], name: str, version: str) -> Hit:
    fixed = [
        event["fixed"]
        for one in _of_package(advisory, name)
        for part in one.get("ranges", ())
        if part["type"] == "ECOSYSTEM"
        for event in part["events"]
        if "fixed" in event and Version(event["fixed"]) > Version(version)
    ]
    text = str(advisory.get("summary") or advisory.get("details") or "").splitlines()
    return Hit(
        str(advisory["id"]), tuple(advisory.get("aliases", ())), name, version, tuple(dict.fromkeys(fixed)), text[0][:200] if text else ""
    )
