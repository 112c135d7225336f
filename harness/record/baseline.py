"""The run that limits "of baseline" are relative to: given by hand, or pinned in the record of the run that was compared with it."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from harness.record import store
from harness.record.history import History


def pin(path: Path) -> dict[str, str]:
    """What a run writes down of its baseline. Raises RecordError when there is no run there."""
    directory = store.RunDirectory(path.resolve())
    if not directory.run_file.is_file():
        raise store.RecordError(f"{path}: no run here to compare with; `gauntlet list` shows them")
    return {"path": str(directory.path), "run_sha256": _digest(directory)}


def pinned(of: object) -> Path | None:
    """Where the run lies that was pinned; None for what pins none. Raises RecordError when it is gone, or another one."""
    directory = _found(of)
    if directory is None and isinstance(of, Mapping) and of.get("path"):
        raise store.RecordError(f"{of['path']}: the run that was the baseline is not there any more; name one with --baseline")
    return directory.path if directory is not None else None


def baseline(run: Mapping[str, Any], given: Path | None) -> History | None:
    """The baseline's history: of the one that is given, else of the one that was pinned; None where there is none any more.

    Raises RecordError when there is no run at the path that is given, or another one than was pinned: a baseline must not drift unseen.
    """
    if given is not None:
        pin(given)
        return store.read(given.resolve())
    directory = _found(run.get("baseline"))
    return store.read(directory.path) if directory is not None else None


def _found(of: object) -> store.RunDirectory | None:
    """Raises RecordError when another run is in its place."""
    if not isinstance(of, Mapping) or not isinstance(of.get("path"), str):
        return None
    directory = store.RunDirectory(Path(of["path"]))
    if not directory.run_file.is_file():
        return None
    if _digest(directory) != of.get("run_sha256"):
        raise store.RecordError(f"{directory.path}: not the run that was the baseline; name one with --baseline")
    return directory


def _digest(directory: store.RunDirectory) -> str:
    return sha256(directory.run_file.read_bytes()).hexdigest()
