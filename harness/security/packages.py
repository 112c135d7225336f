"""Which packages a stack consists of: what is installed, what requirement files pin, or what a bill of materials lists."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

_PYPI = re.compile(r"pkg:pypi/(?P<name>[^@?#]+)@(?P<version>[^?#]+)")  # github.com/package-url/purl-spec


@dataclass(frozen=True, slots=True)
class Package:
    """`version` is empty where none is pinned; `line` where it stands in its file."""

    name: str
    version: str
    path: str
    line: int | None = None


def installed() -> list[Package]:
    """The distributions of this environment, by name."""
    found = {canonicalize_name(one.name): one.version for one in metadata.distributions() if one.name}
    return [Package(name, version, "the environment") for name, version in sorted(found.items())]


def pinned(path: Path, name: str) -> list[Package]:
    """The packages of a requirements file (PEP 508; options and other files are left out). Raises OSError, ValueError with the line."""
    found = []
    for number, line in _logical(path.read_text(encoding="utf-8")):
        text = line.partition(" #")[0].partition(" --hash")[0].strip()
        if not text or text.startswith(("#", "-")):
            continue
        try:
            wanted = Requirement(text)
        except InvalidRequirement as error:
            raise ValueError(f"{name}:{number}: no requirement: {error}") from error
        if wanted.marker is not None and not wanted.marker.evaluate():
            continue
        exact = [one.version for one in wanted.specifier if one.operator in ("==", "===") and not one.version.endswith(".*")]
        found.append(Package(canonicalize_name(wanted.name), exact[0] if exact else "", name, number))
    return found


def billed(path: Path, name: str) -> list[Package]:
    """The packages of PyPI in a CycloneDX document (JSON, ECMA-424), by their package URLs. Raises OSError, ValueError."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["bomFormat"] != "CycloneDX":
            raise ValueError("it is of another format")
        urls = [str(one.get("purl", "")) for one in document.get("components", ())]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{name}: no bill of materials in CycloneDX: {type(error).__name__}: {error}") from error
    found = [match for match in map(_PYPI.match, urls) if match is not None]
    return [Package(canonicalize_name(unquote(one["name"])), unquote(one["version"]), name) for one in found]


def _logical(text: str) -> Iterable[tuple[int, str]]:
    """Lines with their numbers, continued ones joined."""
    pending, start = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        start = start or number
        if line.rstrip().endswith("\\"):
            pending += line.rstrip()[:-1] + " "
            continue
        yield start, pending + line
        pending, start = "", 0
