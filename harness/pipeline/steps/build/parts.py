"""What something is made of, before it is written as a bill of materials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Part:
    """One component. `ref` is unique in a bill; `requires` holds the refs of what it needs."""

    ref: str  # a package URL (purl), where there is one
    kind: Literal["application", "container", "library"]
    name: str
    version: str
    sha256: str | None = None
    licence: str | None = None
    requires: tuple[str, ...] = ()


class PartsError(Exception):
    """What something is made of cannot be told."""
