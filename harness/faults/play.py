"""One fault from its intention to the proof that it is gone: a small machine that is turned by ticks and never waits.

    due ──► (allowed, else skipped) ──► intended ──► [inject] ──► injected ──► [verify …] ──► effective | not_effective
        end (or a failure) ──► heal_intended ──► [heal …] ──► healed | failed ──► [gone …] ──► gone | not_gone

Each arrow is written to the record before what follows it is done; what stands in brackets runs in a thread of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from enum import Enum
from typing import Any, Protocol

from harness.faults.base import Evidence, KnownFault, Undo
from harness.faults.permission import NEVER, Allow, Refused, Times, always
from harness.record.clock import NS_PER_S, Clock

LOOK_EVERY_S = 0.25
GONE_WITHIN_S = 15.0
HEAL_AGAIN_S = 1.0


class Leases(Protocol):
    """What playing a fault needs of the run's lease."""

    def hold(self, fault_id: str, undo: Sequence[Undo]) -> None: ...

    def let_go(self, fault_id: str) -> None: ...

    def beat(self) -> None: ...

    def take_back(self) -> None: ...


Spawn = Callable[[Callable[[], Any]], "Future[Any]"]
"""Runs something beside the caller; what it raises is in the future."""


def in_thread(work: Callable[[], Any]) -> Future[Any]:
    """A daemon thread: a verb that hangs must not keep the process from ending."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001  # handed to whoever asks the future, as an executor does
            future.set_exception(error)

    threading.Thread(target=run, name="fault", daemon=True).start()
    return future


class State(Enum):
    """Where a fault is in its life."""

    WAITING = "waiting"
    INJECTING = "injecting"
    PROVING = "proving"
    ACTIVE = "active"
    HEALING = "healing"
    LEAVING = "leaving"
    DONE = "done"


class FaultPlay:
    """Plays one fault. `note` writes a step to the record: `note("healed", {...})`.

    `when` is asked until it is due: None as long as what it waits for has not happened.
    """

    def __init__(
        self,
        fault_id: str,
        known: KnownFault,
        when: Callable[[], Times | None],
        clock: Clock,
        note: Callable[[Mapping[str, Any]], object],
        lease: Leases,
        spawn: Spawn = in_thread,
        allow: Allow = always,
    ) -> None:
        self.fault_id = fault_id
        self.state = State.WAITING
        self._fault = known.fault
        self._known = known
        self._when = when
        self._allow = allow
        self._times = when() or NEVER
        self.effective_ns: int | None = None
        self._clock = clock
        self._write = note
        self.proved_gone = False
        self._lease = lease
        self._spawn = spawn
        self._work: Future[Any] | None = None
        self._deadline_ns = 0
        self._next_ns = 0
        self._last_error = ""
        self._looks = 0
        self._hurry = False

    @property
    def done(self) -> bool:
        """Gone, given up, or never begun and never to begin."""
        return self.state is State.DONE

    @property
    def waiting(self) -> bool:
        """Its time has not come yet."""
        return self.state is State.WAITING

    @property
    def inject_ns(self) -> int:
        """When it is injected, by plan, as far as that is known."""
        return self._times.inject_ns

    @property
    def service(self) -> str:
        """Where it acts; of an edge, its callee."""
        return self._fault.target.service

    @property
    def bites(self) -> bool:
        """Injected and not yet healed, as far as is known."""
        return self.state in (State.INJECTING, State.PROVING, State.ACTIVE, State.HEALING)

    def tick(self, now_ns: int) -> None:
        """Take every step that is due; returns at once."""
        before = None
        while before is not self.state:
            before = self.state
            _STEPS[self.state](self, now_ns)

    def end_now(self, now_ns: int) -> None:
        """Heal as soon as possible: the run ends. A fault that has not begun never will."""
        if self.state is State.WAITING:
            self.proved_gone = True
            self.state = State.DONE
        self._hurry = True
        self._times = Times(self._times.inject_ns, min(self._times.heal_ns, now_ns), self._times.verify_within_s)

    def give_up(self) -> None:
        """A verb hangs: the record says so, and the watchdog takes the fault back at the end."""
        self._note("not_gone", reason=f"gave up while {self.state.value}")
        self.state = State.DONE

    # --- one method a state

    def _waiting(self, now_ns: int) -> None:
        self._times = self._when() or NEVER
        if now_ns < self._times.inject_ns:
            return
        answer = self._allow(self._known, self._times, now_ns)
        if answer is None:
            return
        if isinstance(answer, Refused):
            self._note("skipped", reason=answer.reason)
            self.state = State.DONE
            return
        self._known, self._times, self._fault = answer.known, answer.times, answer.known.fault
        self._note("intended", **self._known.truth)
        self.state = State.INJECTING
        self._work = self._spawn(self._hold_and_inject)

    def _hold_and_inject(self) -> int:
        """The lease first: from here on a death of the harness takes the fault back."""
        self._lease.hold(self.fault_id, self._fault.undo())
        self._fault.inject()
        return self._clock.now_ns()

    def _injecting(self, now_ns: int) -> None:
        if self._work is None or not self._work.done():
            return
        error = self._work.exception()
        if error is not None:
            self._note("failed", reason=f"inject: {_spell(error)}")
            self._begin_healing(now_ns)
            return
        self._note("injected", at_ns=self._work.result())
        self._work = None
        self._await_evidence(State.PROVING, now_ns, self._times.verify_within_s)

    def _proving(self, now_ns: int) -> None:
        found = self._look(self._fault.verify, now_ns)
        # An injection that took until the fault's end (a deploy) is still looked at once, unless the run is being ended.
        ended = now_ns >= self._times.heal_ns and (self._hurry or self._looks > 0)
        if found is not None:
            self._note("effective", **found)
            self.effective_ns = found["at_ns"]
            self.state = State.ACTIVE
        elif ended or self._out_of_time(now_ns):
            within = f"within {self._times.verify_within_s:g} s"
            self._note("not_effective", reason=self._reason(f"no evidence {'before its end' if ended else within} that it bites"))
            self._work = None  # a look still under way sees what is no longer asked
            self.state = State.ACTIVE

    def _active(self, now_ns: int) -> None:
        if now_ns >= self._times.heal_ns:
            self._begin_healing(now_ns)

    def _healing(self, now_ns: int) -> None:
        if self._work is None:
            if now_ns >= self._next_ns:
                self._work = self._spawn(self._fault.heal)
            return
        if not self._work.done():
            return
        error, self._work = self._work.exception(), None
        if error is None:
            self._note("healed")
            self._await_evidence(State.LEAVING, now_ns, GONE_WITHIN_S)
        elif self._out_of_time(now_ns):
            self._note("failed", reason=f"heal: {_spell(error)}")
            self._await_evidence(State.LEAVING, now_ns, GONE_WITHIN_S)
        else:
            self._next_ns = now_ns + round(HEAL_AGAIN_S * NS_PER_S)

    def _leaving(self, now_ns: int) -> None:
        found = self._look(self._fault.gone, now_ns)
        if found is not None:
            self._note("gone", **found)
            self._lease.let_go(self.fault_id)
            self.proved_gone = True
            self.state = State.DONE
        elif self._out_of_time(now_ns):
            self._note("not_gone", reason=self._reason(f"no evidence within {GONE_WITHIN_S:g} s that it is gone"))
            self.state = State.DONE

    def _done(self, now_ns: int) -> None:
        """Nothing is due any more. What is not proved gone stays leased: the watchdog takes it back at the end."""

    # --- their parts

    def _begin_healing(self, now_ns: int) -> None:
        self._note("heal_intended")
        self._work = None
        self._last_error = ""
        self._next_ns = now_ns
        self._deadline_ns = now_ns + round(GONE_WITHIN_S * NS_PER_S)
        self.state = State.HEALING

    def _await_evidence(self, state: State, now_ns: int, within_s: float) -> None:
        self._last_error = ""
        self._next_ns = now_ns
        self._deadline_ns = now_ns + round(within_s * NS_PER_S)
        self.state = state

    def _look(self, verb: Callable[[], Evidence | None], now_ns: int) -> dict[str, Any] | None:
        """`{"at_ns", "evidence"}` once a look has found some; begins a look where none is under way and one is due."""
        if self._work is None and self._next_ns <= now_ns <= self._deadline_ns:
            self._next_ns = now_ns + round(LOOK_EVERY_S * NS_PER_S)
            self._work = self._spawn(lambda: (verb(), self._clock.now_ns()))
        if self._work is None or not self._work.done():
            return None
        self._looks += 1
        error = self._work.exception()
        found, at_ns = (None, 0) if error is not None else self._work.result()
        self._work = None
        if error is not None:
            self._last_error = _spell(error)
        return None if found is None else {"at_ns": at_ns, "evidence": dict(found)}

    def _out_of_time(self, now_ns: int) -> bool:
        """Past the deadline, and no look that began before it is still under way."""
        return now_ns > self._deadline_ns and self._work is None

    def _reason(self, what: str) -> str:
        return what + (f"; last look: {self._last_error}" if self._last_error else "")

    def _note(self, step: str, **data: Any) -> None:
        self._write({"id": self.fault_id, **data, "step": step})


_STEPS: Mapping[State, Callable[[FaultPlay, int], None]] = {
    State.WAITING: FaultPlay._waiting,
    State.INJECTING: FaultPlay._injecting,
    State.PROVING: FaultPlay._proving,
    State.ACTIVE: FaultPlay._active,
    State.HEALING: FaultPlay._healing,
    State.LEAVING: FaultPlay._leaving,
    State.DONE: FaultPlay._done,
}


def _spell(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
