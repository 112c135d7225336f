"""What stacks and their capabilities speak of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class StackError(RuntimeError):
    """The stack did not start, or an actuation failed. The message carries the last error and the log tail."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One running copy of a service. `pid` is None where the stack is not made of local processes."""

    service: str
    name: str
    url: str
    version: str
    pid: int | None = None


@dataclass(frozen=True, slots=True)
class AdminApi:
    """An HTTP control interface with its bearer token: of a mock, or of a proxy."""

    url: str
    token: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where an instance runs on this machine: the pid of its main process as this machine numbers it, and the folder it may write to."""

    pid: int
    container: str | None = None  # id, where it is one
    directory: Path | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What an instance may use; None: no limit."""

    cpus: float | None = None  # processors, e.g. 0.2
    memory_bytes: int | None = None


class Stress(Protocol):
    """A program that runs beside an instance, within its limits."""

    @property
    def pid(self) -> int:
        """As this machine numbers it."""
        ...

    def output(self) -> str:
        """What it has printed so far."""
        ...

    def end(self) -> None:
        """Kill it and its descendants; idempotent."""
        ...


class Names(Protocol):
    """What one caller is told when it looks up one callee."""

    def look_up(self) -> Sequence[str]:
        """The URLs it is told now; empty: there is no such name. Raises StackError."""
        ...

    def tell(self, urls: Sequence[str] | None) -> None:
        """Tell it these from now on; None: the truth."""
        ...
