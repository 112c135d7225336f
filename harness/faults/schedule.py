"""Plays the faults of a scenario at their times, from a loop that it never holds up, and proves each step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.faults.base import KnownFault
from harness.faults.play import FaultPlay, Leases, Spawn, Times, in_thread
from harness.record.clock import NS_PER_S, Clock
from harness.record.events import FAULT, Event
from harness.scenario.model import FaultUse

VERIFY_WITHIN_S = 10.0
POLL_S = 0.05
HEAL_ALL_WITHIN_S = 60.0
"""How long the end of a run works on one fault: an injection under way, healing with its repetitions, and the proof."""


class FaultSchedule:
    """The faults of one run. Made when the stack is up: targets are resolved, and drawn, in the order of the scenario.

    `spans` gives (start_ns, end_ns) of each phase, `append` writes to the record, `build` makes a fault. One thread calls all methods.
    """

    def __init__(
        self,
        uses: Sequence[FaultUse],
        spans: Mapping[str, tuple[int, int]],
        clock: Clock,
        append: Callable[[Event], object],
        build: Callable[[FaultUse], KnownFault],
        lease: Leases,
        spawn: Spawn = in_thread,
    ) -> None:
        """Raises what `build` raises: FaultError where the stack cannot take a fault."""
        self._clock = clock
        self._append = append
        self._lease = lease
        self._plays = [FaultPlay(use.id, build(use), times(use, spans[use.phase]), clock, self._note, lease, spawn) for use in uses]

    @property
    def active(self) -> tuple[str, ...]:
        """Ids of the faults that are injected and not yet healed."""
        return tuple(play.fault_id for play in self._plays if play.bites)

    @property
    def more_to_come(self) -> bool:
        """A fault is still waiting for its time."""
        return any(play.waiting for play in self._plays)

    @property
    def done(self) -> bool:
        """Nothing is left to be injected, healed or proved."""
        return all(play.done for play in self._plays)

    def run_due(self, now_ns: int) -> None:
        """Take every step that is due at `now_ns`; returns at once. Tells the watchdog that the loop turns."""
        self._lease.beat()
        for play in self._plays:
            play.tick(now_ns)

    def heal_all(self) -> bool:
        """The run ends, in whatever way: heal what was injected, the latest first, and prove it gone. Waits for that; idempotent.

        A fault that has not begun never will. False where one could not be proved gone: it stays under the lease.
        """
        begun = sorted((play for play in self._plays if not play.done), key=lambda play: play.inject_ns, reverse=True)
        for play in begun:
            self._finish(play)
        return all(play.proved_gone for play in begun)

    def _finish(self, play: FaultPlay) -> None:
        deadline_ns = self._clock.now_ns() + round(HEAL_ALL_WITHIN_S * NS_PER_S)
        play.end_now(self._clock.now_ns())
        while not play.done:
            now_ns = self._clock.now_ns()
            self._lease.beat()
            play.tick(now_ns)
            if now_ns > deadline_ns:
                play.give_up()
            elif not play.done:
                self._clock.sleep(POLL_S)

    def _note(self, data: Mapping[str, Any]) -> None:
        self._append(Event(self._clock.now_ns(), FAULT, "truth", data))


def times(use: FaultUse, span: tuple[int, int]) -> Times:
    """When a fault of the scenario begins and ends, given its phase's (start_ns, end_ns)."""
    start_ns, end_ns = span
    inject_ns = start_ns + round(use.offset_s * NS_PER_S)
    heal_ns = end_ns if use.for_s is None else min(end_ns, inject_ns + round(use.for_s * NS_PER_S))
    return Times(inject_ns, heal_ns, verify_within_s=min(VERIFY_WITHIN_S, (heal_ns - inject_ns) / NS_PER_S / 2))
