"""Baselines: runs that later ones are compared with, kept by scenario and machine, with the commit that each is of.

    baselines/<scenario>/<machine>/index.json                {"anchor": name, "current": name}
    baselines/<scenario>/<machine>/<commit7>-<utc>/          the record, as much of it as a comparison reads

The first baseline of a scenario on a machine is its *anchor*, which stays when the current one moves on: a candidate is compared with both,
so that ten steps of nine per cent are not ten times "no change".
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from harness.record.history import History
from harness.record.store import RecordError, RunDirectory
from harness.score import comparable

INDEX = "index.json"
_EVENTS = ("events.jsonl", "events-watchdog.jsonl", "events-load.jsonl")
_PARTS = ("run.json", "scenario.yaml", "questions.json", *_EVENTS, "requests", "gaps", "provider")


@dataclass(frozen=True, slots=True)
class Baseline:
    """One kept run. `role` is anchor, current, both, or empty for an earlier one."""

    path: Path
    scenario: str
    machine: str
    commit: str
    role: str

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "path": str(self.path)}


@dataclass(frozen=True, slots=True)
class Shelf:
    """The baselines of one scenario on one machine."""

    path: Path

    @property
    def anchor(self) -> Path | None:
        return self._named("anchor")

    @property
    def current(self) -> Path | None:
        return self._named("current")

    def put(self, source: Path, history: History, *, anchor: bool) -> Path:
        """Keep a run as the current baseline, and as the anchor where there is none or `anchor` says so. Raises RecordError."""
        name = f"{_commit(history)[:7]}-{source.name.partition('-')[0]}"
        target = self.path / name
        if target.exists():
            raise RecordError(f"{target}: this run is a baseline already")
        part = self.path / f".{name}.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        for one in _PARTS:
            _copy(source / one, part / one)
        part.rename(target)
        first = self.anchor is None
        self._write({"anchor": name if anchor or first else self._index().get("anchor"), "current": name})
        return target

    def all(self) -> Iterator[Baseline]:
        index = self._index()
        for directory in sorted(p.parent for p in self.path.glob("*/run.json") if not p.parent.name.startswith(".")):
            roles = [role for role in ("anchor", "current") if index.get(role) == directory.name]
            role = "both" if len(roles) == 2 else "".join(roles)
            yield Baseline(directory, self.path.parent.name, self.path.name, directory.name.partition("-")[0], role)

    def _named(self, role: str) -> Path | None:
        name = self._index().get(role)
        return self.path / str(name) if name else None

    def _index(self) -> dict[str, Any]:
        file = self.path / INDEX
        if not file.is_file():
            return {}
        try:
            index = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise RecordError(f"{file}: {error}; set the baseline again with --anchor") from error
        if not isinstance(index, dict):
            raise RecordError(f"{file}: no index of baselines")
        return index

    def _write(self, index: Mapping[str, Any]) -> None:
        fresh = self.path / f"{INDEX}.new"
        fresh.write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
        fresh.replace(self.path / INDEX)


def shelf(root: Path, history: History) -> Shelf:
    """Where runs like this one are kept. Raises RecordError for a record that does not say on which machine it was made."""
    found = comparable.machine(history)
    if found is None:
        raise RecordError("the record does not say on which machine it was made, so it is no baseline for any")
    scenario = str(history.run.get("scenario", {}).get("name", ""))
    return Shelf(root / re.sub(r"[^A-Za-z0-9._-]+", "-", scenario) / machine_name(found))


def machine_name(machine: Mapping[str, Any]) -> str:
    """`2x-x86_64-4GiB-1a2b3c`: readable, and another one for every other machine."""
    digest = sha256(json.dumps(machine, sort_keys=True).encode()).hexdigest()[:6]
    return f"{machine['cpus']}x-{machine['machine']}-{machine['memory_gib']}GiB-{digest}"


def listed(root: Path) -> list[Baseline]:
    """All baselines below a directory, by scenario, machine, and name."""
    return [one for directory in sorted(root.glob("*/*")) if directory.is_dir() for one in Shelf(directory).all()]


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    elif source.is_file():
        shutil.copy2(source, target)


def _commit(history: History) -> str:
    return str(history.run.get("git", {}).get("sha", "nogit"))


def run_of(path: Path) -> RunDirectory:
    """The directory of a run. Raises RecordError where there is none."""
    directory = RunDirectory(path.resolve())
    if not directory.run_file.is_file():
        raise RecordError(f"{path}: no run here; `gauntlet list` shows them")
    return directory
