"""The open model: arrivals do not wait for answers, and nothing that is not sent goes uncounted."""

from __future__ import annotations

from harness.load.arrivals import Arrival
from harness.load.dispatch import Admission, Counts, Dispatcher
from harness.load.observation import DROPPED_BY_GENERATOR, DROPPED_BY_TARGET
from tests.unit.load.fakes import FakeClock

ARRIVALS = [Arrival(n, n * 0.5, "ask", 0) for n in range(6)]


class Walk:
    """One walk over ARRIVALS; `busy_s` is how long each request holds its slot, `stall_at` an arrival before which the generator hangs."""

    def __init__(self, max_in_flight: int = 10, busy_s: float = 0.1, stall_at: int | None = None, stall_s: float = 0.0) -> None:
        self.clock = FakeClock()
        self.started: list[tuple[int, float]] = []
        self.dropped: list[tuple[int, int]] = []
        self._ends: list[int] = []
        self._busy_ns = round(busy_s * 1e9)
        self._stall_at, self._stall_s = stall_at, stall_s
        self.t0_ns = self.clock.t_ns
        self.admission = Admission(self.clock, self._spawn, self._drop, max_in_flight)
        self.dispatcher = Dispatcher(self.clock, self._sleep, self.admission)
        self.dispatcher.walk(ARRIVALS, self.t0_ns)

    @property
    def counts(self) -> Counts:
        return self.admission.counts

    def _sleep(self, duration_s: float) -> None:
        self.clock.sleep(duration_s)
        if self._stall_at == self.counts.arrivals:
            self._stall_at = None
            self.clock.sleep(self._stall_s)
        for end_ns in [e for e in self._ends if e <= self.clock.t_ns]:
            self._ends.remove(end_ns)
            self.admission.done()

    def _spawn(self, arrival: Arrival, intended_ns: int) -> None:
        self.started.append((arrival.seq, round((self.clock.t_ns - intended_ns) / 1e9, 2)))
        self._ends.append(self.clock.t_ns + self._busy_ns)

    def _drop(self, arrival: Arrival, intended_ns: int, cause: int) -> None:
        self.dropped.append((arrival.seq, cause))


def test_every_arrival_starts_when_it_is_due() -> None:
    walk = Walk()
    assert walk.started == [(n, 0.0) for n in range(6)]
    assert walk.counts == Counts(arrivals=6, sent=6, in_flight=1)


def test_slow_answers_do_not_hold_arrivals_back() -> None:
    walk = Walk(busy_s=100)
    assert walk.started == [(n, 0.0) for n in range(6)]
    assert walk.counts.in_flight == 6


def test_a_target_that_holds_every_slot_drops_what_comes_then() -> None:
    walk = Walk(max_in_flight=2, busy_s=1.2)
    assert walk.dropped == [(2, DROPPED_BY_TARGET), (5, DROPPED_BY_TARGET)]
    assert walk.counts == Counts(arrivals=6, sent=4, dropped_by_target=2, in_flight=2)


def test_a_late_generator_starts_late_and_drops_what_is_a_second_late() -> None:
    walk = Walk(stall_at=1, stall_s=1.7)
    assert walk.dropped == [(1, DROPPED_BY_GENERATOR)]
    assert walk.started == [(0, 0.0), (2, 0.8), (3, 0.3), (4, 0.0), (5, 0.0)]
    assert walk.counts == Counts(arrivals=6, sent=5, dropped_by_generator=1, in_flight=1)


def test_lateness_is_the_generators_even_when_every_slot_is_held() -> None:
    walk = Walk(max_in_flight=1, busy_s=100, stall_at=1, stall_s=1.7)
    assert walk.dropped[0] == (1, DROPPED_BY_GENERATOR)
    assert set(walk.dropped[1:]) == {(n, DROPPED_BY_TARGET) for n in range(2, 6)}


def test_a_stop_is_noticed_within_a_tenth_of_a_second() -> None:
    clock = FakeClock()
    naps: list[float] = []

    def sleep(duration_s: float) -> None:
        naps.append(duration_s)
        clock.sleep(duration_s)
        dispatcher.stopping = len(naps) == 3

    admission = Admission(clock, lambda *_: None, lambda *_: None, 1)
    dispatcher = Dispatcher(clock, sleep, admission)
    dispatcher.walk([Arrival(0, 3600.0, "ask", 0)], clock.t_ns)
    assert naps == [0.1, 0.1, 0.1]
    assert admission.counts == Counts()
