"""Which runs are recorded under a directory."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.record.store import RUN_FILE, RunDirectory


@dataclass(frozen=True, slots=True)
class Recorded:
    """One run; `verdict` is `unjudged` where there is none on disk."""

    path: str
    scenario: str
    verdict: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def recorded_runs(out: Path) -> list[Recorded]:
    """Runs under `out`, oldest first."""
    directories = [RunDirectory(p.parent) for p in out.glob(f"*/*/{RUN_FILE}")]
    return [Recorded(str(d.path), d.path.parent.name, _verdict(d)) for d in sorted(directories, key=lambda d: d.path.name)]


def _verdict(directory: RunDirectory) -> str:
    try:
        return str(json.loads(directory.verdict.read_text(encoding="utf-8"))["verdict"])
    except (OSError, ValueError, KeyError):
        return "unjudged"
