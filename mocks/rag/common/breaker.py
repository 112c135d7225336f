"""Circuit breaker: closed → open after consecutive failures → half-open with a single probe → closed or open again.

Own code, because neither library at hand does this over asyncio: purgatory lets every waiting request through when half-open
and times the open state by the wall clock; pybreaker guards its states with a thread lock and supports coroutines of Tornado only.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import IntEnum

from mocks.rag.common.metrics import CIRCUIT_STATE

FAILURES_TO_OPEN = 5
OPEN_S = 60.0


class CircuitState(IntEnum):
    """As exported in `rag_circuit_state`."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class Permit:
    """An attempt that was let through; give it back with its end."""

    __slots__ = ()


class CircuitBreaker:
    """Guards one callee. Ask `admit` for a permit before each attempt and report its end with `record` or `abandon`.

    Only attempts let through in the present state count. A straggler, let through before the circuit opened, says how the callee was
    then: it neither decides a half-open circuit in the place of the probe nor opens again one that the probe has closed.

    `probe_soon` ends the open period early: an active health check that has seen the callee answer again knows more
    than the timer, and a callee restarted within seconds must not stay cut off for a minute.
    """

    def __init__(
        self, callee: str, *, failures: int = FAILURES_TO_OPEN, open_s: float = OPEN_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._gauge = CIRCUIT_STATE.labels(callee)
        self._failures_to_open = failures
        self._open_s = open_s
        self._clock = clock
        self._opened_at_s = 0.0
        self._failures = 0
        self._admitted = Permit()
        """One for all attempts while the circuit is closed; a new one at each change makes those before it stragglers."""
        self._probe: Permit | None = None
        self._enter(CircuitState.CLOSED)

    @property
    def state(self) -> CircuitState:
        """The state now; an open circuit turns half-open at the first `admit` after its time."""
        return self._state

    @property
    def retry_after_s(self) -> float:
        """Seconds until an open circuit lets a probe through; 0 when it is not open."""
        if self._state is not CircuitState.OPEN:
            return 0.0
        return max(0.0, self._opened_at_s + self._open_s - self._clock())

    def admit(self) -> Permit | None:
        """A permit for an attempt, None where none may be made now. In the half-open state one probe at a time."""
        if self._state is CircuitState.OPEN and self.retry_after_s == 0.0:
            self._enter(CircuitState.HALF_OPEN)
        if self._state is CircuitState.CLOSED:
            return self._admitted
        if self._state is CircuitState.OPEN or self._probe is not None:
            return None
        self._probe = Permit()
        return self._probe

    def record(self, permit: Permit, *, ok: bool) -> None:
        """Report the end of an admitted attempt."""
        if permit is self._probe:
            self._enter(CircuitState.CLOSED if ok else CircuitState.OPEN)
        elif permit is self._admitted:
            self._failures = 0 if ok else self._failures + 1
            if self._failures >= self._failures_to_open:
                self._enter(CircuitState.OPEN)

    def abandon(self, permit: Permit) -> None:
        """An admitted attempt was cancelled and tells nothing."""
        if permit is self._probe:
            self._probe = None

    def probe_soon(self) -> None:
        """Let the next attempt through as a probe, if the circuit is open."""
        if self._state is CircuitState.OPEN:
            self._enter(CircuitState.HALF_OPEN)

    def _enter(self, state: CircuitState) -> None:
        self._state = state
        self._failures = 0
        self._probe = None
        self._admitted = Permit()
        if state is CircuitState.OPEN:
            self._opened_at_s = self._clock()
        self._gauge.set(state)
