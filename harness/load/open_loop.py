"""The engine for high rates. An open loop on asyncio without a task or a coroutine for each request: arrivals start from a timer of
the kernel, and a journey goes on where its answer is parsed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from harness.load.arrivals import Arrival
from harness.load.child import Load
from harness.load.closed import ClosedUsers
from harness.load.connections import Connection, Pool
from harness.load.dispatch import Admission
from harness.load.http import Exchange, RequestTimeoutError
from harness.load.ingest import IngestCheck
from harness.load.ledger import PING_S, Ledger, Sinks
from harness.load.observation import Observation
from harness.load.plan import planned
from harness.load.session import INGEST_PATIENCE_S, STOPPED_DRAIN_S, STOPPED_PATIENCE_S
from harness.load.timer import KernelTimer
from harness.load.transport import SocketTransport
from harness.record.clock import NS_PER_S
from harness.record.requests import Outcome

_BATCH = 32  # arrivals that may start in one turn of the loop: answers must be read meanwhile
_COARSE_NS = 200_000  # arrivals that are due within so short a time start together: a timer costs as much as a request
_SWEEP_S = 0.02  # how often time limits are looked at


class Serving:
    """One arrival under way: performs its journey's exchanges one after another."""

    __slots__ = ("_engine", "_exchange", "_steps", "connection", "deadline_ns", "observation", "over")

    def __init__(self, engine: OpenLoop, arrival: Arrival, observation: Observation) -> None:
        self._engine = engine
        self.observation = observation
        self.over = False
        self.connection: Connection | None = None
        self._exchange: Exchange | None = None
        self._steps = engine.load.versions.performer.begin(arrival, observation)
        self.deadline_ns = observation.start_ns + engine.timeout_ns

    def answered(self) -> None:
        """Go on: at the start, and whenever an answer is whole."""
        self.connection = None
        try:
            exchange = next(self._steps, None)
        except Exception as error:  # noqa: BLE001  # a defect of a journey: `end` raises it
            self.failed(error)
            return
        if exchange is None:
            self._end(None)
        else:
            self._exchange = exchange
            self._engine.pool.ask(exchange, self, self.opened)

    def failed(self, error: Exception) -> None:
        self.connection = None
        self._end(error)

    def opened(self, connection: Connection) -> bool:
        """A connection is there; False when the time was up before."""
        if not self.over:
            self.connection = connection
        return not self.over

    def time_up(self) -> None:
        if self.connection is not None:
            self.connection.abort()
        self._end(RequestTimeoutError())

    def _end(self, error: Exception | None) -> None:
        if not self.over:
            self.over = True
            self._engine.ended(self, self._exchange, error)


class OpenLoop:
    """The engine: one load from its first arrival to its last answer."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.timeout_ns = round(load.plan.timeout_s * NS_PER_S)
        self.pool = Pool(load.clock, load.plan.trusted)
        self._timer = KernelTimer()
        plan = load.plan
        slots = plan.closed.users if plan.closed is not None else plan.max_in_flight
        self._admission = Admission(load.clock, self._start, self._drop, slots)
        self._users: ClosedUsers | None = None
        if plan.closed is not None:
            known = (plan.seed, len(load.knowledge.questions), plan.asking)
            self._users = ClosedUsers(plan.closed, *known, load.clock, self._later, self._admission.due, plan.share)
        self._ledger = Ledger(load.plan, load.clock, Sinks(load.record, load.recorder, load.metrics), self._admission.counts)
        self._under_way: dict[Serving, None] = {}  # in the order of their time limits
        self._arrivals: Iterator[Arrival] = iter(())
        self._next: Arrival | None = None
        self._due_ns = self._t0_ns = 0
        self._walked = asyncio.Event()
        self._begun: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.failure: BaseException | None = None
        self.stopping = False

    def begin(self, t0_ns: int) -> None:
        """The schedule starts at that monotonic time."""
        if not self._begun.done():
            self._begun.set_result(t0_ns)

    def stop(self) -> None:
        """End early, in order: no further arrivals, what is in flight gets a moment, everything is written."""
        self.stopping = True
        if self._users is not None:
            self._users.stopping = True
        self._walked.set()
        self.begin(self.load.clock.now_ns())

    def fail(self, error: BaseException) -> None:
        """Nothing that the target did: the load ends, and `run` raises it."""
        self.failure = self.failure or error
        self.stop()

    async def run(self) -> None:
        """The load, from its begin to its last event."""
        self._t0_ns = await self._begun
        self._ledger.started(self._t0_ns)
        loop = asyncio.get_running_loop()
        watching = [loop.create_task(self._watch()), loop.create_task(self._sweep())]
        for task in watching:
            task.add_done_callback(lambda ended: None if ended.cancelled() or not (why := ended.exception()) else self.fail(why))
        loop.add_reader(self._timer.fd, self._tick)
        plan = self.load.plan
        if self._users is None:
            self._arrivals = planned(plan, len(self.load.knowledge.questions))
            self._advance()
            self._tick()
        else:
            self._users.begin(self._t0_ns, plan.duration_s)
            left_s = (self._t0_ns - self.load.clock.now_ns()) / NS_PER_S + plan.duration_s
            loop.call_later(max(0.0, left_s), self._walked.set)
        await self._walked.wait()
        loop.remove_reader(self._timer.fd)
        self._timer.close()
        await self._drain()
        cancelled = self._admission.counts.in_flight
        check = await self._check_ingested()
        for task in watching:
            task.cancel()
        if self.failure is not None:
            raise self.failure
        self._ledger.finished(early=self.stopping, cancelled=cancelled, check=check)

    def ended(self, serving: Serving, exchange: Exchange | None, error: Exception | None) -> None:
        """A journey has come to its end, one way or another."""
        self._admission.done()
        del self._under_way[serving]
        try:
            self.load.versions.performer.end(serving.observation, exchange, error)
            self._note(serving.observation)
        except Exception as defect:  # noqa: BLE001  # raised again by `run`
            self.fail(defect)

    def _tick(self) -> None:
        """Start what is due, then wait for what comes next."""
        self._timer.clear()
        started = 0
        while self._next is not None and not self.stopping:
            now_ns = self.load.clock.now_ns()
            if self._due_ns > now_ns:
                self._timer.arm(max(self._due_ns, now_ns + _COARSE_NS))
                return
            if started >= _BATCH:
                self._timer.arm(now_ns)
                return
            self._admission.due(self._next, self._due_ns)
            self._advance()
            started += 1
        self._walked.set()

    def _advance(self) -> None:
        self._next = next(self._arrivals, None)
        if self._next is not None:
            self._due_ns = self._t0_ns + round(self._next.t_s * NS_PER_S)

    def _start(self, arrival: Arrival, intended_ns: int) -> None:
        serving = Serving(self, arrival, self.load.versions.performer.observe(arrival, intended_ns))
        self._under_way[serving] = None
        serving.answered()

    def _drop(self, arrival: Arrival, intended_ns: int, cause: int) -> None:
        observation = self.load.versions.performer.observe(arrival, intended_ns)
        observation.outcome, observation.drop_cause = Outcome.DROPPED, cause
        observation.end_ns = self.load.clock.now_ns()
        self._note(observation)

    def _note(self, observation: Observation) -> None:
        self._ledger.ended(observation)
        if self._users is not None:
            self._users.answered(observation.seq)

    def _later(self, delay_s: float, work: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_later(delay_s, work)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(PING_S)
            self._ledger.look()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            now_ns = self.load.clock.now_ns()
            while (first := next(iter(self._under_way), None)) is not None and first.deadline_ns <= now_ns:
                first.time_up()

    async def _drain(self) -> None:
        """Wait for what is in flight, at most for the time limit of a request; after an early stop only for a moment."""
        begun_ns = self.load.clock.now_ns()
        while self._admission.counts.in_flight:
            patience_s = STOPPED_DRAIN_S if self.stopping else self.load.plan.timeout_s + 1.0
            if self.load.clock.now_ns() - begun_ns > patience_s * NS_PER_S:
                return
            await asyncio.sleep(PING_S)

    async def _check_ingested(self) -> IngestCheck:
        """In a thread, with sockets that wait: the load is over, and nothing is timed any more."""
        load = self.load
        if not load.versions.ingested.ids:
            return IngestCheck()
        checker = load.versions.checker(SocketTransport(load.clock, load.plan.trusted), load.clock.sleep)
        patience = lambda: STOPPED_PATIENCE_S if self.stopping else INGEST_PATIENCE_S  # noqa: E731
        return await asyncio.to_thread(checker.check, load.versions.ingested.ids, patience)
