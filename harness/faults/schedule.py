"""Plays the faults of a scenario at their times, from a loop that it never holds up, and proves each step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from harness.faults.base import KnownFault
from harness.faults.permission import Gate, Permission, Times, always
from harness.faults.play import FaultPlay, Leases, Spawn, in_thread
from harness.record.clock import NS_PER_S, Clock
from harness.record.events import FAULT, Event
from harness.scenario.model import FaultUse

VERIFY_WITHIN_S = 10.0
POLL_S = 0.05
HEAL_ALL_WITHIN_S = 60.0
"""How long the end of a run works on its faults: injections under way, healing with its repetitions, and the proof."""
URGENT_WITHIN_S = 20.0  # the same where somebody waits for it: the proof alone may take 15 s
TURN_S = 0.5  # how long a fault waits for a later one of the same service to be healed first
PATIENCE_S = 1.0  # after which the watchdog takes back what is not healed yet, where somebody waits for it


class FaultSchedule:
    """The faults of one run. Made when the stack is up: targets are resolved, and drawn, in the order of the scenario.

    `spans` gives (start_ns, end_ns) of each phase, `append` writes to the record, `build` makes a fault, `permission` is asked before each
    injection. One thread calls all methods.
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
        permission: Permission | None = None,
    ) -> None:
        """Raises what `build` raises: FaultError where the stack cannot take a fault."""
        self._clock = clock
        self._append = append
        self._lease = lease
        self._by_id: dict[str, FaultPlay] = {}
        for use in uses:
            when = partial(self._when, use, spans[use.phase])
            allow = always if permission is None else Gate(permission, use, partial(_known, build), spans[use.phase])
            self._by_id[use.id] = FaultPlay(use.id, _known(build, use), when, clock, self._note, lease, spawn, allow)
        self._plays = list(self._by_id.values())

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

    def heal_all(self, urgent: bool = False) -> bool:
        """The run ends, in whatever way: heal what was injected, and prove it gone. Waits for that; idempotent.

        All at once, but of one service the latest first; a verb that hangs holds up no other. A fault that has not begun never will.
        With `urgent`, somebody waits: what is not healed after PATIENCE_S is taken back by the watchdog, from the lease.
        False where one could not be proved gone: it stays under the lease.
        """
        begun = sorted((play for play in self._plays if not play.done), key=lambda play: play.inject_ns, reverse=True)
        start_ns = self._clock.now_ns()
        for play in (play for play in begun if play.waiting):
            play.end_now(start_ns)
        patient = urgent
        while not all(play.done for play in begun):
            now_ns = self._clock.now_ns()
            waited_s = (now_ns - start_ns) / NS_PER_S
            self._lease.beat()
            for n, play in enumerate(begun):
                if waited_s >= TURN_S or not any(later.bites and later.service == play.service for later in begun[:n]):
                    play.end_now(now_ns)
                play.tick(now_ns)
            if patient and waited_s >= PATIENCE_S and self.active:
                patient = False
                self._lease.take_back()
            if waited_s > (URGENT_WITHIN_S if urgent else HEAL_ALL_WITHIN_S):
                self._give_up(begun)
            elif not all(play.done for play in begun):
                self._clock.sleep(POLL_S)
        return all(play.proved_gone for play in begun)

    def _when(self, use: FaultUse, span: tuple[int, int]) -> Times | None:
        """None as long as the fault that it follows has shown no effect, and for good where that comes too late for its phase."""
        if use.after_id is None:
            return times(use, span)
        first = self._by_id.get(use.after_id)
        if first is None or first.effective_ns is None:
            return None
        inject_ns = first.effective_ns + round(use.after_s * NS_PER_S)
        return times(use, span, inject_ns) if inject_ns < span[1] else None

    def _give_up(self, plays: Sequence[FaultPlay]) -> None:
        for play in plays:
            if not play.done:
                play.give_up()

    def _note(self, data: Mapping[str, Any]) -> None:
        self._append(Event(self._clock.now_ns(), FAULT, "truth", data))


def times(use: FaultUse, span: tuple[int, int], inject_ns: int | None = None) -> Times:
    """When a fault of the scenario begins and ends, given its phase's (start_ns, end_ns), and where it begins if `at` does not say."""
    start_ns, end_ns = span
    if inject_ns is None:
        inject_ns = start_ns + round(use.offset_s * NS_PER_S)
    heal_ns = end_ns if use.for_s is None else min(end_ns, inject_ns + round(use.for_s * NS_PER_S))
    return Times(inject_ns, heal_ns, verify_within_s=min(VERIFY_WITHIN_S, (heal_ns - inject_ns) / NS_PER_S / 2))


def _known(build: Callable[[FaultUse], KnownFault], use: FaultUse) -> KnownFault:
    known = build(use)
    return known if use.after_id is None else replace(known, tell=partial(_after, known.tell, use.after_id))


def _after(tell: Callable[[], Mapping[str, Any]], other: str) -> Mapping[str, Any]:
    """The truth of a fault that follows another."""
    return {**tell(), "after": other}
