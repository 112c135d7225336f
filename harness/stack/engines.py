"""What a database server among the embedded processes has to say of itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from harness.stack.child import Command

PROBE_TIMEOUT_S = 1.0


class Engine(Protocol):
    """A database server among the embedded processes."""

    @property
    def version(self) -> str: ...

    @property
    def data(self) -> Path:
        """The folder that it keeps its data in."""
        ...

    def prepare(self) -> None:
        """Make its data, once, before the first start. Raises StackError."""
        ...

    def command(self, port: int, env: Mapping[str, str], log: Path) -> Command:
        """How to start it."""
        ...

    def url(self, port: int) -> str:
        """Where its clients connect to."""
        ...

    def probe(self, url: str) -> str | None:
        """Ask it something: None when it answers rightly, else the reason. Takes at most about a second."""
        ...
