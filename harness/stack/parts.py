"""What stacks and their capabilities speak of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


class StackError(RuntimeError):
    """The stack did not start, or an actuation failed. The message carries the last error and the log tail."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One running copy of a service. `pid` is None where the stack is not made of local processes.

    `port_inside`: where its peers reach it in a network of their own; None where that is the URL's.
    """

    service: str
    name: str
    url: str
    version: str
    pid: int | None = None
    port_inside: int | None = None


@dataclass(frozen=True, slots=True)
class Front:
    """Where users come in over TLS, and whom they trust."""

    url: str  # https
    authority: Path  # certificate of the authority, PEM

    @property
    def trusted(self) -> str:
        """That certificate. Raises OSError."""
        return self.authority.read_text(encoding="ascii")


@dataclass(frozen=True, slots=True)
class PointsAt:
    """A collection of a vector store: `product` is qdrant or chroma."""

    product: str
    url: str
    collection: str


@dataclass(frozen=True, slots=True)
class DocumentsAt:
    """Where the documents that were taken in are, with all that is made of them, as the reference stack keeps them.

    `dsn`: of the PostgreSQL database. `points`: where the vectors are, with texts of their own; None: in that database.
    """

    dsn: str
    points: PointsAt | None = None


@dataclass(frozen=True, slots=True)
class AdminApi:
    """An HTTP control interface with its bearer token: of a mock, or of a proxy."""

    url: str
    token: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where an instance runs on this machine: the pid of its main process as this machine numbers it, and the folder it may write to.

    `data`: where it keeps what lasts, as it calls the place itself; None: where it runs.
    """

    pid: int
    container: str | None = None  # id, where it is one
    directory: Path | None = None
    data: str | None = None


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


class Mesh(Protocol):
    """Faults as objects of Chaos Mesh beside the instances, and what can be seen of those without asking it. All raise StackError."""

    def place(self, kind: str, name: str, spec: Mapping[str, Any]) -> None:
        """Make an object; it acts by itself from then on."""
        ...

    def find(self, kind: str, name: str) -> Mapping[str, Any] | None:
        """An object with its status; None once it is gone, and so all that it did is taken back."""
        ...

    def lift(self, kind: str, name: str) -> None:
        """Delete an object, and wait until it is gone; harmless when it is."""
        ...

    def objects(self) -> Sequence[str]:
        """Kind and name of every object that there is."""
        ...

    def undo(self, kind: str, name: str) -> Mapping[str, Any]:
        """Arguments of the undo operation `kubernetes` for that object."""
        ...

    def selector(self, service: str, instance: str | None = None) -> Mapping[str, Any]:
        """Chaos Mesh's selector of the pods of a service, or of the pod of one instance."""
        ...

    def pods(self, service: str) -> Mapping[str, str]:
        """Names of the pods that a service has now, those that are ending included, by their uids."""
        ...

    def pod(self, instance: str) -> tuple[str, str]:
        """Name and uid of the pod that is that instance now."""
        ...

    def addresses(self, service: str) -> Sequence[str]:
        """IP addresses of its pods."""
        ...

    def inside(self, service: str) -> tuple[str, int]:
        """Under which name and port others find a service."""
        ...

    def data_folder(self, service: str) -> str:
        """Where the volume of its data is mounted."""
        ...

    def run(self, instance: str, argv: Sequence[str], timeout_s: float) -> str:
        """Run a program in the instance's pod; returns what it printed."""
        ...
