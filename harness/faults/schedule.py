"""Plays the faults of a scenario at their times, from a loop that it never holds up, and proves each step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from harness.faults.base import Fault, Undo
from harness.faults.play import FaultPlay, Journaled, Spawn, Times, in_thread
from harness.faults.registry import truth
from harness.record.clock import NS_PER_S, Clock
from harness.record.events import FAULT, Event
from harness.scenario.catalog import StackInfo
from harness.scenario.model import FaultUse

VERIFY_WITHIN_S = 10.0
POLL_S = 0.05
HEAL_ALL_WITHIN_S = 60.0
"""How long `heal_all` works on one fault: waiting for an injection under way, healing with its repetitions, and proving."""


class Leases(Protocol):
    """What the schedule needs of a lease."""

    def hold(self, fault_id: str, undo: Sequence[Undo]) -> None: ...
    def let_go(self, fault_id: str) -> None: ...
    def beat(self) -> None: ...


class FaultSchedule:
    """The faults of one run. Built when the stack is up: targets are resolved, and drawn, in the order of the scenario.

    `spans` gives (start_ns, end_ns) of each phase; `append` writes to the record. One thread calls all methods.
    """

    def __init__(
        self,
        uses: Sequence[FaultUse],
        spans: Mapping[str, tuple[int, int]],
        clock: Clock,
        append: Callable[[Event], object],
        build: Callable[[FaultUse], Fault],
        lease: Leases,
        spawn: Spawn = in_thread,
        describe: Callable[[str, Fault], Mapping[str, Any]] | None = None,
    ) -> None:
        """Raises FaultError when the stack cannot take one of them."""
        self._clock = clock
        self._lease = lease
        self._plays = [
            _play(use, build(use), spans[use.phase], clock, append, lease, spawn)
            for use in uses
        ]
