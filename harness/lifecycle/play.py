"""The clockwork of a run: phases begin and end on time, faults are played, and everything that can go wrong meanwhile is watched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.faults.lease import Lease
from harness.faults.schedule import FaultSchedule
from harness.lifecycle import live
from harness.lifecycle.abort import AbortWatch
from harness.lifecycle.oncall import OnCall
from harness.lifecycle.reset import Resetter
from harness.lifecycle.signals import Interruption
from harness.lifecycle.timeline import Planned
from harness.load.driver import LoadProcess
from harness.record import events as ev
from harness.record import store
from harness.record.clock import NS_PER_S, Clock
from harness.record.events import Event
from harness.record.journal import Journal, JournalTail
from harness.record.tail import RequestTail
from harness.report.state import LiveState
from harness.scenario.model import Scenario
from harness.scenario.shape import Shape, lay_out
from harness.score.check import Status
from harness.score.context import Context
from harness.score.validity import steady_state

TICK_S = 0.05
LOOK_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Ending:
    """Why the playing ended."""

    reason: str
    early: bool


_IN_FULL = Ending("completed", early=False)


@dataclass(frozen=True, slots=True)
class Parts:
    """What is played with, and watched meanwhile."""

    schedule: FaultSchedule
    load: LoadProcess
    on_call: OnCall
    lease: Lease
    resetter: Resetter
    interruption: Interruption


@dataclass(slots=True)
class Player:
    """Plays one run's phases."""

    scenario: Scenario
    directory: store.RunDirectory
    phases: Sequence[Planned]
    journal: Journal
    clock: Clock
    observe: Callable[[LiveState], None]
    _abort: AbortWatch = field(init=False)
    _tail: RequestTail = field(init=False)
    _shape: Shape = field(init=False)
    _events: JournalTail = field(init=False)
    _seen: list[Event] = field(default_factory=list)
    _operator_gone: bool = False

    def __post_init__(self) -> None:
        load = self.scenario.load
        self._shape = lay_out(load.shape, self.scenario.duration_s, load.mix) if load.shape else Shape(())
        self._abort = AbortWatch(self.scenario, Context.of(store.read(self.directory.path, live=True)))
        self._tail = RequestTail(self.directory.requests, keep_s=max(self._abort.keep_s, live.WINDOW_S))
        self._events = JournalTail(self.directory.events)

    def play(self, parts: Parts) -> Ending:
        """Until the last phase has ended, or something ends it early."""
        for phase in self.phases:
            self._wait_until(phase.start_ns)
            self._append(ev.PHASE, name=phase.name, state="start", planned_start_ns=phase.start_ns, planned_end_ns=phase.end_ns)
            ending = self._phase(phase, parts)
            self._append(ev.PHASE, name=phase.name, state="end")
            if ending is None and phase.name == "steady_state":
                ending = self._steady()
            if ending is not None:
                return ending
        return _IN_FULL

    def _phase(self, phase: Planned, parts: Parts) -> Ending | None:
        look_ns = self.clock.now_ns()
        while (now_ns := self.clock.now_ns()) < phase.end_ns:
            if parts.interruption.signal is not None:
                self._append(ev.INTERRUPTED, signal=parts.interruption.signal)
                return Ending("interrupted", early=True)
            parts.schedule.run_due(now_ns)
            parts.resetter.look(active=bool(parts.schedule.active), more_to_come=parts.schedule.more_to_come)
            if now_ns >= look_ns:
                look_ns = now_ns + round(LOOK_EVERY_S * NS_PER_S)
                ending = self._look(now_ns, parts)
                if ending is not None:
                    return ending
            self.clock.sleep(min(TICK_S, (phase.end_ns - now_ns) / NS_PER_S))
        return None

    def _look(self, now_ns: int, parts: Parts) -> Ending | None:
        """What the harness itself must watch: its helpers' lives, and the abort rules."""
        self._note_operator(parts.on_call)
        code = parts.load.poll()
        if code is not None:
            self._append(ev.LOAD, state="failed", detail=f"the load process ended with {code} in the middle of the run")
            return Ending("load_failed", early=True)
        if not parts.lease.alive():
            self._append(ev.WATCHDOG, state="died")
            return Ending("watchdog_died", early=True)
        rows = self._tail.read(now_ns)
        broken = self._abort.check(rows, self.phases[0].start_ns, now_ns)
        if broken is not None:
            self._append(ev.ABORT, **broken)
            return Ending("aborted", early=True)
        self._seen.extend(self._events.read_new())
        self.observe(live.snapshot(self.scenario.name, self.phases, now_ns, self._offered(now_ns), rows, self._seen))
        return None

    def _note_operator(self, on_call: OnCall) -> None:
        code = on_call.poll()
        if code is not None and not self._operator_gone:
            self._operator_gone = True
            self._append(ev.OPERATOR, state="exited", returncode=code)

    def _steady(self) -> Ending | None:
        """Whether it is worth breaking anything: a fault injected into a system that is not in steady state proves nothing."""
        history = store.read(self.directory.path, live=True)
        bad = [r.reason for r in steady_state(history, self.scenario, live=True) if r.status is not Status.PASS]
        if not bad:
            return None
        self._append(ev.ABORT, rule="steady_state", reason="; ".join(bad))
        return Ending("not_steady", early=True)

    def _offered(self, now_ns: int) -> float | None:
        """Mean offered rate over the live window, per second; None of a closed load."""
        if not self._shape.pieces:
            return None
        end_s = (now_ns - self.phases[0].start_ns) / NS_PER_S
        return self._shape.expected(max(0.0, end_s - live.WINDOW_S), end_s) / live.window_s(end_s)

    def _wait_until(self, t_ns: int) -> None:
        while (left_ns := t_ns - self.clock.now_ns()) > 0:
            self.clock.sleep(left_ns / NS_PER_S)

    def _append(self, kind: str, **data: Any) -> None:
        self.journal.append(Event(self.clock.now_ns(), kind, "truth", data))
