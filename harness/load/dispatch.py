"""The open model itself: every arrival of the schedule starts when it is due, whatever became of those before it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from harness.load.arrivals import Arrival
from harness.load.observation import DROPPED_BY_GENERATOR, DROPPED_BY_TARGET
from harness.record.clock import NS_PER_S, Clock

_LONGEST_SLEEP_S = 0.1  # so that a stop is noticed
_HOPELESSLY_LATE_NS = NS_PER_S


@dataclass(slots=True)
class Counts:
    """What became of the arrivals so far. arrivals = sent + dropped_by_target + dropped_by_generator."""

    arrivals: int = 0
    sent: int = 0
    dropped_by_target: int = 0
    dropped_by_generator: int = 0
    in_flight: int = 0


class Dispatcher:
    """Walks the schedule. Without threads of its own: `spawn` and `sleep` come from outside, and so does the clock.

    `spawn(arrival, intended_ns)` starts a request concurrently; it must call `done` when that has ended. `drop(arrival, intended_ns,
    cause)` notes one that is not sent: the target holds every slot, or the generator is more than a second late.
    """

    def __init__(
        self,
        clock: Clock,
        sleep: Callable[[float], None],
        spawn: Callable[[Arrival, int], None],
        drop: Callable[[Arrival, int, int], None],
        max_in_flight: int,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._spawn = spawn
        self._drop = drop
        self._max_in_flight = max_in_flight
        self.counts = Counts()
        self.stopping = False

    def walk(self, arrivals: Iterable[Arrival], t0_ns: int) -> None:
        """Until the schedule's end, or until `stopping` is set. The load starts at the monotonic time `t0_ns`."""
        for arrival in arrivals:
            intended_ns = t0_ns + round(arrival.t_s * NS_PER_S)
            self._wait_until(intended_ns)
            if self.stopping:
                return
            self._dispatch(arrival, intended_ns)

    def done(self) -> None:
        """A spawned request has ended."""
        self.counts.in_flight -= 1

    def _wait_until(self, due_ns: int) -> None:
        # At least one sleep, of no length when the arrival is overdue: it lets the requests that were spawned before start first.
        self._sleep(self._nap_s(due_ns))
        while not self.stopping and self._clock.now_ns() < due_ns:
            self._sleep(self._nap_s(due_ns))

    def _nap_s(self, due_ns: int) -> float:
        return min(max(0.0, (due_ns - self._clock.now_ns()) / NS_PER_S), _LONGEST_SLEEP_S)

    def _dispatch(self, arrival: Arrival, intended_ns: int) -> None:
        self.counts.arrivals += 1
        # The generator's own lateness is asked first: a slot that is busy only because of it proves nothing about the target.
        if self._clock.now_ns() - intended_ns > _HOPELESSLY_LATE_NS:
            self.counts.dropped_by_generator += 1
            self._drop(arrival, intended_ns, DROPPED_BY_GENERATOR)
        elif self.counts.in_flight >= self._max_in_flight:
            self.counts.dropped_by_target += 1
            self._drop(arrival, intended_ns, DROPPED_BY_TARGET)
        else:
            self.counts.sent += 1
            self.counts.in_flight += 1
            self._spawn(arrival, intended_ns)
