"""An environment as people read it, and what is different of two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.environments.checking import LoadedEnvironment


def shown(loaded: LoadedEnvironment) -> dict[str, Any]:
    """`{environment, config_id, files, config}`. Secrets are the references that are written in the files: no value is ever read."""
    return {
        "environment": loaded.name,
        "config_id": loaded.environment.config_id,
        "files": list(loaded.layered.files),
        "config": loaded.environment.canonical,
    }


def differences(one: LoadedEnvironment, other: LoadedEnvironment) -> list[dict[str, Any]]:
    """`[{key, from, to}]`, sorted by key; None where one has nothing there."""
    left, right = dict(_flat(one.environment.canonical, "")), dict(_flat(other.environment.canonical, ""))
    keys = sorted(left.keys() | right.keys())
    return [{"key": k, "from": left.get(k), "to": right.get(k)} for k in keys if left.get(k) != right.get(k)]


def _flat(value: Any, at: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, child in value.items():
            yield from _flat(child, f"{at}.{key}" if at else str(key))
    else:
        yield at, value
