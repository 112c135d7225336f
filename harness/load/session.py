"""One load from its start to its last event, where waiting is allowed: walk the schedule, record what comes of it, watch the generator.

Knows nothing of gevent or Locust: concurrency is passed in, so that the whole of it can run on a fake clock.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from harness.load.answers import Knowledge
from harness.load.arrivals import Arrival
from harness.load.closed import ClosedUsers
from harness.load.dispatch import Admission, Dispatcher
from harness.load.http import Transport
from harness.load.ingest import IngestCheck, IngestChecker, IngestLog
from harness.load.ledger import PING_S, Ledger, Sinks
from harness.load.observation import Observation
from harness.load.plan import LoadPlan, planned
from harness.load.sides import Performer, SidesChecker
from harness.record.clock import NS_PER_S, Clock
from harness.record.requests import Outcome

STOPPED_DRAIN_S = 2.0
INGEST_PATIENCE_S = 15.0
STOPPED_PATIENCE_S = 2.0
INGEST_ROUND_S = 0.01  # time allowed for each id of the last round


class Concurrency(Protocol):
    """What the session needs of its event loop."""

    def spawn(self, work: Callable[[], None]) -> None:
        """Run concurrently."""
        ...

    def later(self, delay_s: float, work: Callable[[], None]) -> None:
        """Run concurrently after so long."""
        ...

    def sleep(self, duration_s: float) -> None:
        """Let others run; at least once, also for 0."""
        ...

    def nap(self, duration_s: float) -> None:
        """The same, not rounded to milliseconds. For one caller at a time."""
        ...

    def limit(self, duration_s: float) -> AbstractContextManager[object]:
        """Raises RequestTimeoutError inside the block when its time is up."""
        ...

    def cancel_spawned(self) -> None:
        """End what was spawned and is still running."""
        ...


class LoadSession:
    """`walk` is the load; `watch` runs beside it; `finish` comes after."""

    def __init__(
        self,
        plan: LoadPlan,
        knowledge: Knowledge,
        clock: Clock,
        concurrency: Concurrency,
        sinks: Sinks,
        ingested: IngestLog,
        journeys: Performer,
        transport: Transport,
    ) -> None:
        self._plan = plan
        self._knowledge = knowledge
        self._clock = clock
        self._concurrency = concurrency
        self._ingested = ingested
        self._journeys = journeys
        self._transport = transport
        slots = plan.closed.users if plan.closed is not None else plan.max_in_flight
        self._admission = Admission(clock, self._spawn, self._drop, slots)
        self._users: ClosedUsers | None = None
        if plan.closed is not None:
            known = (plan.seed, len(knowledge.questions), plan.asking)
            self._users = ClosedUsers(plan.closed, *known, clock, concurrency.later, self._admission.due, plan.share)
        self._dispatcher = Dispatcher(clock, concurrency.nap, self._admission)
        self._ledger = Ledger(plan, clock, sinks, self._admission.counts)

    def stop(self) -> None:
        """End early, in order: no further arrivals, what is in flight gets a moment, everything is written."""
        self._dispatcher.stopping = True
        if self._users is not None:
            self._users.stopping = True

    def walk(self, t0_ns: int) -> None:
        """Offer all that is planned, then wait for what is in flight: each request has its own time limit."""
        self._ledger.started(t0_ns)
        if self._users is None:
            self._dispatcher.walk(planned(self._plan, len(self._knowledge.questions)), t0_ns)
        else:
            self._users.begin(t0_ns, self._plan.duration_s)
            self._dispatcher.wait_until(t0_ns + round(self._plan.duration_s * NS_PER_S))
        self._drain()

    def finish(self, checker: IngestChecker | SidesChecker) -> None:
        """Check that accepted documents were indexed, and write the last event."""
        cancelled = self._admission.counts.in_flight
        self._concurrency.cancel_spawned()
        check = self._check_ingested(checker)
        self._ledger.finished(early=self._dispatcher.stopping, cancelled=cancelled, check=check)

    def watch(self) -> None:
        """For ever: look at the generator itself."""
        while True:
            self._concurrency.sleep(PING_S)
            self._ledger.look()

    def _spawn(self, arrival: Arrival, intended_ns: int) -> None:
        self._concurrency.spawn(lambda: self._serve(arrival, intended_ns))

    def _serve(self, arrival: Arrival, intended_ns: int) -> None:
        observation = self._journeys.observe(arrival, intended_ns)
        try:
            with self._concurrency.limit(self._plan.timeout_s):
                self._journeys.serve(arrival, observation, self._transport)
        finally:
            self._admission.done()
        self._end(observation)

    def _drop(self, arrival: Arrival, intended_ns: int, cause: int) -> None:
        observation = self._journeys.observe(arrival, intended_ns)
        observation.outcome, observation.drop_cause = Outcome.DROPPED, cause
        observation.end_ns = self._clock.now_ns()
        self._end(observation)

    def _end(self, observation: Observation) -> None:
        self._ledger.ended(observation)
        if self._users is not None:
            self._users.answered(observation.seq)

    def _drain(self) -> None:
        """Wait for what is in flight, at most for the time limit of a request; after an early stop only for a moment."""
        begun_ns = self._clock.now_ns()
        while self._admission.counts.in_flight:
            patience_s = STOPPED_DRAIN_S if self._dispatcher.stopping else self._plan.timeout_s + 1.0
            if self._clock.now_ns() - begun_ns > patience_s * NS_PER_S:
                return
            self._concurrency.sleep(PING_S)

    def _check_ingested(self, checker: IngestChecker | SidesChecker) -> IngestCheck:
        ids = self._ingested.ids
        if not ids:
            return IngestCheck()
        with self._concurrency.limit(self._ingest_patience_s() + INGEST_ROUND_S * len(ids)):
            return checker.check(ids, self._ingest_patience_s)

    def _ingest_patience_s(self) -> float:
        return STOPPED_PATIENCE_S if self._dispatcher.stopping else INGEST_PATIENCE_S
