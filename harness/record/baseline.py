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


def baseline(run: Mapping[str, Any], given: Path | None) -> History | None:
    """The baseline's history: of the one that is given, else of the one that was pinned; None where there is none any more.

    Raises RecordError when there is no run at the path that is given, or another one than was pinned: a baseline must not drift unseen.
    """
    if given is not None:
        pin(given)
        return store.read(given.resolve())
    pinned = run.get("baseline")
    if not isinstance(pinned, Mapping):
        return None
    directory = store.RunDirectory(Path(str(pinned.get("path"))))
    if not directory.run_file.is_file():
        return None
    if _digest(directory) != pinned.get("run_sha256"):
        raise store.RecordError(f"{directory.path}: not the run that was the baseline; name one with --baseline")
    return store.read(directory.path)


def _digest(directory: store.RunDirectory) -> str:
    return sha256(directory.run_file.read_bytes()).hexdigest()
