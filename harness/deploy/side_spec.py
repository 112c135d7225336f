"""What a side is told when it is started, and the private files of a site."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class SideSpec:
    """What is started. Holds the key of the load: it goes through a pipe, never by the command line."""

    name: str
    version: str
    stack: Mapping[str, Any]
    state_file: str
    logs: str
    api_key: str = field(repr=False)
    environment: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    seed: int = 1

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of `to_json`."""
        return cls(**json.loads(text))


def write_private(path: Path, document: Mapping[str, Any]) -> None:
    """Replace a JSON file that only its owner reads, in one step."""
    part = path.with_name(path.name + ".part")
    part.touch(mode=0o600)
    part.write_text(json.dumps(document, indent=1), encoding="utf-8")
    part.replace(path)
