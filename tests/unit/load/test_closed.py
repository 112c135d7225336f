"""A closed load on a fake clock: users wait for their answers, and nobody asks twice at once."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

from harness.load.arrivals import Arrival
from harness.load.closed import ClosedUsers
from harness.load.plan import ClosedPlan
from tests.unit.load.fakes import FakeClock


class Run:
    """Users on a fake clock; each answer takes `answer_s`."""

    def __init__(
        self,
        users: int = 3,
        think_s: float = 1.0,
        duration_s: float = 60.0,
        answer_s: float = 0.5,
        stop_at_s: float = 1e9,
        early_s: float = 0.0,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self.clock = FakeClock()
        self.asked: list[tuple[Arrival, int]] = []
        self.waiting = self.most_waiting = 0
        self._answer_s, self._early_s = answer_s, early_s
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()
        plan = ClosedPlan(users, think_s, {"ask": 2.0, "ingest": 1.0})
        self.users = ClosedUsers(plan, 7, 10, ("ask",), self.clock, self.later, self.due, share)
        self.t0_ns = self.clock.t_ns
        self.users.begin(self.t0_ns, duration_s)
        while self._events:
            t_ns, _, work = heapq.heappop(self._events)
            self.clock.t_ns = max(self.clock.t_ns, t_ns)
            self.users.stopping = self.clock.t_ns > self.t0_ns + stop_at_s * 1e9
            work()

    def later(self, delay_s: float, work: Callable[[], None]) -> None:
        in_s = max(0.0, delay_s - self._early_s)
        heapq.heappush(self._events, (self.clock.t_ns + round(in_s * 1e9), next(self._order), work))

    def due(self, arrival: Arrival, intended_ns: int) -> None:
        assert intended_ns <= self.clock.t_ns, "it is asked for when it is due, not before"
        self.asked.append((arrival, intended_ns))
        self.waiting += 1
        self.most_waiting = max(self.most_waiting, self.waiting)
        self.later(self._answer_s, lambda: self.answer(arrival.seq))

    def answer(self, seq: int) -> None:
        self.waiting -= 1
        self.users.answered(seq)


def test_users_ask_wait_and_think() -> None:
    run = Run()
    # Three users, half a second to answer and about one to think: two requests a second.
    assert 100 <= len(run.asked) <= 140
    assert run.most_waiting == 3
    assert [a.seq for a, _ in run.asked] == list(range(len(run.asked)))
    assert max(t_ns for _, t_ns in run.asked) < run.t0_ns + 60e9
    assert {a.question >= 0 for a, _ in run.asked if a.journey == "ask"} == {True}
    assert {a.question for a, _ in run.asked if a.journey == "ingest"} == {-1}


def test_a_slow_service_is_asked_less() -> None:
    assert len(Run(answer_s=4.0).asked) < 0.4 * len(Run().asked)


def test_without_a_think_time_the_next_request_follows_at_once() -> None:
    run = Run(users=1, think_s=0.0, duration_s=10.0)
    gaps_s = {round((b - a) / 1e9, 3) for (_, a), (_, b) in zip(run.asked, run.asked[1:], strict=False)}
    assert gaps_s == {0.5}


def test_what_users_do_depends_on_the_seed_alone() -> None:
    """A slower service changes when they ask, and not what."""
    fast = [a.journey for a, _ in Run(users=1).asked]
    slow = [a.journey for a, _ in Run(users=1, answer_s=3.0).asked]
    assert fast[: len(slow)] == slow


def test_a_timer_that_comes_early_asks_for_nothing_before_it_is_due() -> None:
    assert len(Run(early_s=0.001).asked) >= 100


def test_a_stop_lets_nobody_ask_again() -> None:
    run = Run(stop_at_s=5.0)
    assert max(t_ns for _, t_ns in run.asked) <= run.t0_ns + 5e9


def test_workers_share_the_users_and_nobody_is_somebody_else() -> None:
    """What user 1 of 5 asks does not depend on whether user 0 is in the same process; numbers of requests are never given twice."""
    shares = [Run(users=5, share=(n, 2)) for n in range(2)]
    assert [run.most_waiting for run in shares] == [3, 2]
    assert [{a.seq % 2 for a, _ in run.asked} for run in shares] == [{0}, {1}]
    assert [a.seq for a, _ in shares[1].asked] == list(range(1, 2 * len(shares[1].asked), 2))
    whole = Run(users=5)
    came_s = sorted(round((t_ns - run.t0_ns) / 1e9, 3) for run in shares for _, t_ns in run.asked)
    assert came_s == sorted(round((t_ns - whole.t0_ns) / 1e9, 3) for _, t_ns in whole.asked)
