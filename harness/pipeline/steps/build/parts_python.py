"""What a wheel brings with it: what pip would install beside it on this machine, with the digest of each file."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.pipeline.programs import ProgramError, carry_out
from harness.pipeline.step import Context
from harness.pipeline.steps.build.parts import Part, PartsError

_LONGEST_LICENCE = 80  # a longer one is the text of the licence, rather than its name


def parts_of_wheel(wheel: Path, extras: Sequence[str], context: Context) -> list[Part]:
    """The wheel first. Asks the package index; installs nothing. Raises PartsError."""
    report = context.directory / "pip-report.json"
    wanted = f"{wheel}[{','.join(extras)}]" if extras else str(wheel)
    argv = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet", "--disable-pip-version-check"]
    try:
        ended = carry_out([*argv, "--report", str(report), wanted], context)
    except ProgramError as error:
        raise PartsError(f"pip cannot be started: {error}") from error
    if ended.stopped:
        raise PartsError("it was stopped")
    if ended.code != 0:
        raise PartsError(f"pip does not find what {wheel.name} requires ({ended.how}): {ended.last}")
    return parts_of_report(json.loads(report.read_text(encoding="utf-8")))


def parts_of_report(report: Mapping[str, Any]) -> list[Part]:
    """Of pip's installation report (pip.pypa.io, version 1 of its format); what was asked for first. Raises PartsError."""
    entries = sorted(report.get("install", ()), key=lambda entry: not entry.get("requested"))
    if not entries:
        raise PartsError("pip would install nothing")
    refs = {_normal(entry["metadata"]["name"]): _ref(entry["metadata"]) for entry in entries}
    extras = _extras(entry["metadata"] for entry in entries)
    for entry in entries:
        extras.setdefault(_normal(entry["metadata"]["name"]), set()).update(entry.get("requested_extras", ()))
    return [_part(entry, refs, extras) for entry in entries]


def _part(entry: Mapping[str, Any], refs: Mapping[str, str], extras: Mapping[str, set[str]]) -> Part:
    metadata = entry["metadata"]
    name = _normal(metadata["name"])
    needed = {refs[one] for one in _required(metadata, extras.get(name, set())) if one in refs} - {refs[name]}
    return Part(
        ref=refs[name],
        kind="application" if entry.get("requested") else "library",
        name=metadata["name"],
        version=metadata["version"],
        sha256=entry.get("download_info", {}).get("archive_info", {}).get("hashes", {}).get("sha256"),
        licence=_licence(metadata),
        requires=tuple(sorted(needed)),
    )


def _required(metadata: Mapping[str, Any], extras: Iterable[str]) -> set[str]:
    """Names of what it requires here and with these extras."""
    from packaging.requirements import Requirement

    found = set()
    for text in metadata.get("requires_dist", ()):
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            found.add(_normal(requirement.name))
    return found


def _extras(all_metadata: Iterable[Mapping[str, Any]]) -> dict[str, set[str]]:
    """Extras by which anything requires a distribution."""
    from packaging.requirements import Requirement

    found: dict[str, set[str]] = {}
    for metadata in all_metadata:
        for requirement in map(Requirement, metadata.get("requires_dist", ())):
            found.setdefault(_normal(requirement.name), set()).update(requirement.extras)
    return found


def _ref(metadata: Mapping[str, Any]) -> str:
    from packageurl import PackageURL

    return str(PackageURL("pypi", name=_normal(metadata["name"]), version=metadata["version"]).to_string())


def _normal(name: str) -> str:
    from packaging.utils import canonicalize_name

    return canonicalize_name(name)


def _licence(metadata: Mapping[str, Any]) -> str | None:
    text = metadata.get("license_expression") or metadata.get("license") or ""
    return text if 0 < len(text) <= _LONGEST_LICENCE and "\n" not in text else None
