"""Documents that a mock is given on the command line: faults and profiles."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_PATHS = ("file", "persist_dir")  # keys of a profile that name a path: a trace, and where a vector store is kept


class MockUsageError(ValueError):
    """What was asked for cannot be had: a profile, a fault, an address, a package that is not installed."""


def read_json(path: Path) -> Any:
    """The document in a file. Raises MockUsageError."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise MockUsageError(f"{path}: {error}") from error


def faults_of(text: str) -> list[Mapping[str, Any]]:
    """One or several fault documents, given as JSON, or as `@FILE` that holds it. Raises MockUsageError."""
    example = '{"type": "rate_limited", "requests_per_s": 1}'
    try:
        found = read_json(Path(text[1:])) if text.startswith("@") else json.loads(text)
    except ValueError as error:
        if isinstance(error, MockUsageError):
            raise
        raise MockUsageError(f"--fault {text!r} is not JSON: {error}; write {example}") from error
    faults = found if isinstance(found, list) else [found]
    if not all(isinstance(fault, dict) and isinstance(fault.get("id", ""), str) for fault in faults):
        raise MockUsageError(f"--fault {text!r}: a fault is an object with a type: {example}")
    return faults


def named(faults: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Each with an `id`, `fault-1` and so on where it has none. Raises MockUsageError for one id of two faults."""
    found: list[Mapping[str, Any]] = [{"id": f"fault-{n}", **fault} for n, fault in enumerate(faults, start=1)]
    for name, count in Counter(str(fault["id"]) for fault in found).items():
        if not name:
            raise MockUsageError("--fault: an id must not be empty; leave it out")
        if count > 1:
            raise MockUsageError(f"--fault: {count} faults have the id {name!r}, and the last would take the place of the others")
    return found


def with_seed(profile: Path | None, seed: int) -> Mapping[str, Any]:
    """A profile with another seed, as it must read elsewhere: paths in it are seen from its own folder. Raises MockUsageError."""
    document = {} if profile is None else _with_whole_paths(read_json(profile), profile.resolve().parent)
    if not isinstance(document, dict):
        raise MockUsageError(f"{profile}: a profile is a JSON object")
    return {**document, "seed": seed}


def _with_whole_paths(document: Any, folder: Path) -> Any:
    if isinstance(document, list):
        return [_with_whole_paths(item, folder) for item in document]
    if not isinstance(document, dict):
        return document
    return {
        key: str(folder / value) if key in _PATHS and isinstance(value, str) else _with_whole_paths(value, folder)
        for key, value in document.items()
    }
