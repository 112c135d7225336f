"""The open model itself: every arrival of the schedule starts when it is due, whatever became of those before it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from harness.load.arrivals import Arrival
from harness.load.observation import DROPPED_BY_GENERATOR, DROPPED_BY_TARGET
from harness.record.clock import NS_PER_S, Clock

_LONGEST_SLEEP_S = 0.1  # so that a stop is noticed
_HOPELESSLY_LATE_NS = NS_PER_S
_BATCH = 8  # of overdue arrivals: a turn of the event loop for each would cost more than the requests


@dataclass(slots=True)
class Counts:
    """What became of the arrivals so far. arrivals = sent + dropped_by_target + dropped_by_generator."""

    arrivals: int = 0
    sent: int = 0
    dropped_by_target: int = 0
    dropped_by_generator: int = 0
    in_flight: int = 0


class Admission:
    """Decides what becomes of each arrival once it is due.

    `start(arrival, intended_ns)` starts a request, and `done` must be called when that has ended. `drop(arrival, intended_ns, cause)` notes
    one that is not sent: the target holds every slot, or the generator is more than a second late.
    """

    def __init__(
        self,
        clock: Clock,
        start: Callable[[Arrival, int], None],
        drop: Callable[[Arrival, int, int], None],
        max_in_flight: int,
    ) -> None:
        self._clock = clock
        self._start = start
        self._drop = drop
        self._max_in_flight = max_in_flight
        self.counts = Counts()

    def due(self, arrival: Arrival, intended_ns: int) -> None:
        """The time of this one has come."""
        counts = self.counts
        counts.arrivals += 1
        # The generator's own lateness is asked first: a slot that is busy only because of it proves nothing about the target.
        if self._clock.now_ns() - intended_ns > _HOPELESSLY_LATE_NS:
            counts.dropped_by_generator += 1
            self._drop(arrival, intended_ns, DROPPED_BY_GENERATOR)
        elif counts.in_flight >= self._max_in_flight:
            counts.dropped_by_target += 1
            self._drop(arrival, intended_ns, DROPPED_BY_TARGET)
        else:
            counts.sent += 1
            counts.in_flight += 1
            self._start(arrival, intended_ns)

    def done(self) -> None:
        """A request that was started has ended."""
        self.counts.in_flight -= 1


class Dispatcher:
    """Walks the schedule where waiting is allowed. Without threads of its own: `sleep` comes from outside, and so does the clock."""

    def __init__(self, clock: Clock, sleep: Callable[[float], None], admission: Admission) -> None:
        self._clock = clock
        self._sleep = sleep
        self._admission = admission
        self._since_sleep = 0
        self.stopping = False

    def walk(self, arrivals: Iterable[Arrival], t0_ns: int) -> None:
        """Until the schedule's end, or until `stopping` is set. The load starts at the monotonic time `t0_ns`."""
        for arrival in arrivals:
            intended_ns = t0_ns + round(arrival.t_s * NS_PER_S)
            self._come_to(intended_ns)
            if self.stopping:
                return
            self._admission.due(arrival, intended_ns)

    def wait_until(self, t_ns: int) -> None:
        """Until that time, or until `stopping` is set."""
        while not self.stopping and (left_ns := t_ns - self._clock.now_ns()) > 0:
            self._nap(left_ns)

    def _come_to(self, due_ns: int) -> None:
        # Where several are overdue, a few are dispatched at once; then one sleep, of no length, lets their requests start.
        self._since_sleep += 1
        left_ns = due_ns - self._clock.now_ns()
        if left_ns <= 0 and self._since_sleep < _BATCH:
            return
        self._since_sleep = 0
        self._nap(left_ns)
        self.wait_until(due_ns)

    def _nap(self, left_ns: int) -> None:
        self._sleep(min(max(0.0, left_ns / NS_PER_S), _LONGEST_SLEEP_S))
