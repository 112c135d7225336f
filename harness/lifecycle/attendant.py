"""Who is with a run while it goes on, and is asked before each injection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from harness.faults.permission import Permission
from harness.record.events import Event
from harness.record.store import RunDirectory


class Attendant(Permission, Protocol):
    """May write to the record of the run, until it is told to leave."""

    def leave(self) -> None:
        """The record is about to be closed: nothing is written any more when this returns."""
        ...


Attend = Callable[[RunDirectory, Callable[[Event], Event]], Attendant | None]
"""Called once the record is open, with what appends to it."""


def unattended(_directory: RunDirectory, _append: Callable[[Event], Event]) -> None:
    """Nobody is asked."""
