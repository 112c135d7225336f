"""The closed model: so many users, each of whom asks, waits for the answer, thinks, and asks again.

A service that stalls is asked less, and what it would have been asked meanwhile is in no figure: closed loads say how long an answer takes,
not how long a caller of an open system waits. Every report says which model it was.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from harness.load.arrivals import Arrival, drawn
from harness.load.plan import ClosedPlan
from harness.record.clock import NS_PER_S, Clock


@dataclass(slots=True)
class _User:
    journey: Callable[[], str]
    rng: random.Random


class ClosedUsers:
    """Starts each user's next request when it has thought. `later(delay_s, work)` and `due(arrival, intended_ns)` come from the engine,
    which calls `answered(seq)` when a request has ended. Each user has a random stream of its own: one that waits changes no other.
    """

    def __init__(
        self,
        plan: ClosedPlan,
        seed: int,
        questions: int,
        asking: Collection[str],
        clock: Clock,
        later: Callable[[float, Callable[[], None]], None],
        due: Callable[[Arrival, int], None],
        share: tuple[int, int] = (0, 1),
    ) -> None:
        """`share` (n, m): every m-th user, from the n-th on, and so with the numbers of requests. Who a user is does not depend on it."""
        self._plan = plan
        self._questions = questions
        self._asking = asking
        self._clock = clock
        self._later = later
        self._due = due
        first, step = share
        self._users = {n: _User(*self._streams(seed, n)) for n in range(first, plan.users, step)}
        self._asked_by: dict[int, _User] = {}
        self._numbers: Iterator[int] = iter(range(first, 2**32, step))
        self._t0_ns = self._end_ns = 0
        self.stopping = False

    def begin(self, t0_ns: int, duration_s: float) -> None:
        """Users come in over the first think time, or second, so that they do not march in step."""
        self._t0_ns, self._end_ns = t0_ns, t0_ns + round(duration_s * NS_PER_S)
        spread_s = min(self._plan.think_s or 1.0, duration_s)
        for n, user in self._users.items():
            self._at(user, t0_ns + round(spread_s * n / self._plan.users * NS_PER_S))

    def answered(self, seq: int) -> None:
        """That request has ended, however it did."""
        user = self._asked_by.pop(seq)
        self._at(user, self._clock.now_ns() + round(self._plan.think_s * user.rng.uniform(0.5, 1.5) * NS_PER_S))

    def _at(self, user: _User, due_ns: int) -> None:
        if due_ns < self._end_ns and not self.stopping:
            self._later(max(0.0, (due_ns - self._clock.now_ns()) / NS_PER_S), lambda: self._ask(user, due_ns))

    def _ask(self, user: _User, due_ns: int) -> None:
        if self.stopping:
            return
        journey, seq = user.journey(), next(self._numbers)
        question = user.rng.randrange(self._questions) if journey in self._asking and self._questions else -1
        self._asked_by[seq] = user
        due_ns = min(due_ns, self._clock.now_ns())  # an event loop's timers may come a little early: nobody asks before it is due
        self._due(Arrival(seq, (due_ns - self._t0_ns) / NS_PER_S, journey, question), due_ns)

    def _streams(self, seed: int, number: int) -> tuple[Callable[[], str], random.Random]:
        return drawn(self._plan.mix, random.Random(f"{seed}:journeys:{number}")), random.Random(f"{seed}:user:{number}")
