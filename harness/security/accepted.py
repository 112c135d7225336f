"""Findings that somebody has accepted, with a reason: a YAML list of `{fingerprint, reason}`, kept in the repository."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import yaml

from harness.findings import Finding


class AcceptedError(ValueError):
    """The file cannot be used: where, and what to write instead."""


@dataclass(frozen=True, slots=True)
class Fingerprinted:
    """A finding, and what stays the same of it when lines move."""

    finding: Finding
    fingerprint: str


def fingerprint(*parts: str) -> str:
    """Sixteen hexadecimal digits of what identifies a finding."""
    return sha256("\x1f".join(parts).encode("utf-8", errors="surrogatepass")).hexdigest()[:16]


def load(path: Path | None) -> dict[str, str]:
    """Reasons by fingerprint; nothing without a file. Raises AcceptedError."""
    if path is None:
        return {}
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8")) or []
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise AcceptedError(f"{path}: cannot be read: {' '.join(str(error).split())}") from error
    found: dict[str, str] = {}
    for number, entry in enumerate(entries if isinstance(entries, list) else [entries], 1):
        fields = entry if isinstance(entry, dict) else {}
        print_, reason = fields.get("fingerprint"), fields.get("reason")
        if set(fields) - {"fingerprint", "reason"} or not isinstance(print_, str) or not isinstance(reason, str) or not reason.strip():
            raise AcceptedError(f'{path}: entry {number}: write {{fingerprint: "…", reason: "why it is acceptable"}}')
        found[print_] = reason
    return found


def without_accepted(findings: Iterable[Fingerprinted], accepted: dict[str, str], path: str) -> list[Finding]:
    """What nobody has accepted, and a warning for each entry that accepts nothing any more. Messages name the fingerprint."""
    told, used = [], set()
    for one in findings:
        if one.fingerprint in accepted:
            used.add(one.fingerprint)
            continue
        old = one.finding
        message = f"{old.message} (fingerprint {one.fingerprint})"
        told.append(Finding(old.rule, old.level, message, old.instead, old.path, old.line, old.column))
    unused = (f"{one} is accepted, and not found" for one in sorted(set(accepted) - used))
    return [*told, *(Finding("accepted.unused", "warning", message, "delete the entry", path) for message in unused)]
