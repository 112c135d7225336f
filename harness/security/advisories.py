"""Which versions are vulnerable, by advisories in the OSV format (Open Source Vulnerability format, schema 1.x)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

ECOSYSTEM = "PyPI"


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


def packages_of(advisory: Mapping[str, Any]) -> set[str]:
    """Canonical names of the packages of PyPI that it is about. Raises KeyError, TypeError for what is no advisory."""
    return {canonicalize_name(one["package"]["name"]) for one in _in_ecosystem(advisory)}


def _in_ecosystem(advisory: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """An advisory may be of several ecosystems, and of commits without a package."""
    return [one for one in advisory["affected"] if one.get("package", {}).get("ecosystem") == ECOSYSTEM]


def _of_package(advisory: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    return [one for one in _in_ecosystem(advisory) if canonicalize_name(one["package"]["name"]) == name]


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
