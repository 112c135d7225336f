"""Where a game day is decided: what people ask for, what the run is told, what both see. Safe to use from several threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.faults.permission import Granted, Refused
from harness.gameday.asks import MAY, Approve, Ask, Begin, Reveal, Role, Skip, Stop
from harness.record.clock import Clock
from harness.record.events import GAMEDAY, Event
from harness.record.journal import JournalTail
from harness.record.store import RunDirectory
from harness.report.state import LiveState
from harness.scenario.model import FaultUse, Scenario


class AskError(ValueError):
    """What was asked for is refused: the message says why, and what to do instead."""


@dataclass(frozen=True, slots=True)
class Point:
    """The live figures at one moment, in seconds of the run; None without samples."""

    t_s: float
    served_per_s: float | None
    latency_s_p95: float | None
    errors_ratio: float | None


@dataclass(frozen=True, slots=True)
class Ended:
    """How it came out."""

    verdict: str
    reason: str
    report: str


@dataclass(slots=True)
class Desk:
    """One game day. `refuse` says why a changed fault cannot be injected, or None; `stop` ends the run, healing first."""

    scenario: Scenario
    clock: Clock
    refuse: Callable[[FaultUse], str | None]
    stop: Callable[[], None]
    begun: threading.Event = field(default_factory=threading.Event)
    state: LiveState | None = None
    ended: Ended | None = None
    points: list[Point] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    revealed: bool = False
    stopped: bool = False
    decisions: dict[str, Granted | Refused] = field(default_factory=dict)
    due: set[str] = field(default_factory=set)  # faults whose time has come
    _append: Callable[[Event], Event] | None = None
    _tail: JournalTail | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)

    # --- the run's side

    def attend(self, directory: RunDirectory, append: Callable[[Event], Event]) -> Desk:
        """The record is open. What was said before it was is not lost: nothing may be asked but to begin."""
        with self._lock:
            self._append, self._tail = append, JournalTail(directory.events)
        return self

    def ask(self, use: FaultUse) -> Granted | Refused | None:
        """What the master has decided about a fault that is due."""
        with self._lock:
            self.due.add(use.id)
            return self.decisions.get(use.id)

    def leave(self) -> None:
        """Nothing is written any more."""
        with self._lock:
            self.look()
            self._append = None

    def observe(self, state: LiveState) -> None:
        """A snapshot of the run."""
        with self._lock:
            self.state = state
            if state.run_length_s > 0:
                self.points.append(Point(state.run_elapsed_s, state.delivered_per_s, state.latency_s_p95, state.errors_ratio))

    def end(self, ended: Ended) -> None:
        """The run is judged."""
        with self._lock:
            self.ended, self._append = ended, None  # also of a run that did not start, and never told to leave

    # --- people's side

    def take(self, role: Role, ask: Ask) -> None:
        """Carry out what somebody asks for, and record it first. Raises AskError."""
        t_ns = self.clock.now_ns()
        with self._lock:
            if not isinstance(ask, MAY[role]):
                raise AskError(f"{ask.do} is not for {role}")
            if isinstance(ask, Begin):
                self.begun.set()
                return
            if self._append is None:
                raise AskError(
                    "the run has not begun yet"
                    if self.ended is None and not self.events
                    else "the run is over; nothing is recorded any more"
                )
            decision = self._decision(ask) if isinstance(ask, Approve | Skip) else None
            data = {"by": role, **ask.model_dump(by_alias=True, exclude_none=True)}
            self._append(Event(t_ns, GAMEDAY, "truth" if role == "master" else "claim", data))
            if decision is not None and isinstance(ask, Approve | Skip):
                self.decisions[ask.fault] = decision
            self.revealed |= isinstance(ask, Reveal)
            self.stopped |= isinstance(ask, Stop)
        if isinstance(ask, Stop):
            self.stop()

    def look(self) -> None:
        """Read what was recorded meanwhile."""
        with self._lock:
            if self._tail is not None:
                self.events.extend(self._tail.read_new())

    def use(self, fault_id: str) -> FaultUse:
        """Raises AskError for one that the scenario has not."""
        found = next((use for use in self.scenario.faults if use.id == fault_id), None)
        if found is None:
            raise AskError(f"no fault {fault_id!r}; there are {', '.join(use.id for use in self.scenario.faults) or 'none'}")
        return found

    def _decision(self, ask: Approve | Skip) -> Granted | Refused:
        use = self.use(ask.fault)
        self.look()
        if any(e.kind == "fault" and e.data.get("id") == use.id for e in self.events):
            raise AskError(f"{use.id} is decided: it was injected, or skipped")
        if isinstance(ask, Skip):
            return Refused(f"skipped by the master{f': {ask.reason}' if ask.reason else ''}")
        changes: Mapping[str, Any] = {k: v for k, v in (("with_", ask.with_), ("target", ask.target)) if v is not None}
        changed = use.model_copy(update=dict(changes))
        if changed != use and (reason := self.refuse(changed)) is not None:
            raise AskError(reason)
        return Granted(changed)
