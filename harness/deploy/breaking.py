"""Faults of a comparison: each version plays the same ones on its own stack at the same times, and tells what came of them."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from harness.deploy.plan import COMPARED_PHASE
from harness.faults import registry
from harness.faults.base import Context, FaultError
from harness.faults.play import Leases
from harness.faults.schedule import FaultSchedule
from harness.record.clock import Clock
from harness.record.events import Event
from harness.scenario.model import FaultUse
from harness.stack.base import Stack, StackError

_TICK_S = 0.05


class Breaking:
    """Of one version, in the process that holds its stack: whoever compares may die, and what was broken is healed all the same."""

    def __init__(self, stack: Stack, lease: Leases, run_id: str, clock: Clock) -> None:
        self._stack = stack
        self._lease = lease
        self._run_id = run_id
        self._clock = clock
        self._events: list[Event] = []
        self._unwanted = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, uses: Sequence[FaultUse], seed: int, start_ns: int, end_ns: int) -> None:
        """Play them within that span, beside the caller. Instances are drawn with the seed. Raises StackError."""
        self.end()
        self._events = []
        self._unwanted.clear()
        context = Context(self._stack, self._clock, Random(f"{seed}:{COMPARED_PHASE}"), run_id=self._run_id)
        try:
            schedule = FaultSchedule(
                uses,
                {COMPARED_PHASE: (start_ns, end_ns)},
                self._clock,
                self._events.append,
                lambda use: registry.build(use, context),
                self._lease,
            )
        except FaultError as error:
            raise StackError(str(error)) from error
        self._thread = threading.Thread(target=self._play, args=(schedule, end_ns), name="breaking", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Heal what is broken, and wait until that is proved. Idempotent."""
        self._unwanted.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def told(self) -> Mapping[str, Any]:
        """`{done, events}`: whether all is over, and the steps of every fault so far."""
        done = self._thread is None or not self._thread.is_alive()  # first: the events of one that is done are whole
        return {"done": done, "events": [{"t_ns": event.t_ns, **event.data} for event in list(self._events)]}

    def _play(self, schedule: FaultSchedule, end_ns: int) -> None:
        try:
            while (now_ns := self._clock.now_ns()) < end_ns and not self._unwanted.is_set():
                schedule.run_due(now_ns)
                self._clock.sleep(_TICK_S)
        finally:
            schedule.heal_all(urgent=self._unwanted.is_set())
