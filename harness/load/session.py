"""One load from its start to its last event: walk the schedule, record what comes of it, watch the generator's own health.

Knows nothing of gevent or Locust: concurrency is passed in, so that the whole of it can run on a fake clock.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from harness.load.answers import Knowledge
from harness.load.arrivals import Arrival, schedule
from harness.load.dispatch import Dispatcher
from harness.load.health import CpuMeter, DispatchLag, quantile_ms
from harness.load.ingest import IngestCheck, IngestChecker, IngestLog
from harness.load.metrics import ClientMetrics
from harness.load.observation import Observation
from harness.load.plan import LoadPlan
from harness.load.recorder import Recorder
from harness.load.sides import Performer, SidesChecker
from harness.record.clock import NS_PER_S, Clock
from harness.record.events import LOAD, Event
from harness.record.requests import Outcome

_PING_S = 0.05
_FLUSH_NS = NS_PER_S // 2
_STOPPED_DRAIN_S = 2.0
_INGEST_PATIENCE_S = 15.0
_STOPPED_PATIENCE_S = 2.0
_INGEST_ROUND_S = 0.01  # time allowed for each id of the last round


class Concurrency(Protocol):
    """What the session needs of its event loop."""

    def spawn(self, work: Callable[[], None]) -> None:
        """Run concurrently."""
        ...

    def sleep(self, duration_s: float) -> None:
        """Let others run; at least once, also for 0."""
        ...

    def limit(self, duration_s: float) -> AbstractContextManager[object]:
        """Raises RequestTimeoutError inside the block when its time is up."""
        ...

    def cancel_spawned(self) -> None:
        """End what was spawned and is still running."""
        ...


@dataclass(frozen=True, slots=True)
class Sinks:
    """Where the session writes."""

    record: Callable[[Event], Event]
    recorder: Recorder
    metrics: ClientMetrics
    announce: Callable[[Observation, str], None]  # (a request that has ended, its journey): Locust's request event


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
    ) -> None:
        self._plan = plan
        self._knowledge = knowledge
        self._clock = clock
        self._concurrency = concurrency
        self._sinks = sinks
        self._ingested = ingested
        self._journeys = journeys
        self._dispatcher = Dispatcher(clock, concurrency.sleep, self._spawn, self._drop, plan.max_in_flight)
        self._lag = DispatchLag()
        self._cpu_ratio_max = 0.0

    def stop(self) -> None:
        """End early, in order: no further arrivals, what is in flight gets a moment, everything is written."""
        self._dispatcher.stopping = True

    def walk(self, t0_ns: int) -> None:
        """Offer the whole schedule, then wait for what is in flight: each request has its own time limit."""
        self._event("started", t0_ns=t0_ns, expected_arrivals=round(self._plan.shape.expected(0.0, self._plan.shape.duration_s), 1))
        arrivals = schedule(self._plan.shape, self._plan.seed, len(self._knowledge.questions), self._plan.asking)
        self._dispatcher.walk(arrivals, t0_ns)
        self._drain()

    def finish(self, checker: IngestChecker | SidesChecker) -> None:
        """Check that accepted documents were indexed, and write the last event."""
        counts = self._dispatcher.counts
        cancelled = counts.in_flight
        self._concurrency.cancel_spawned()
        check = self._check_ingested(checker)
        self._sinks.recorder.flush()
        self._event(
            "finished",
            early=self._dispatcher.stopping,
            arrivals=counts.arrivals,
            sent=counts.sent,
            dropped_by_target=counts.dropped_by_target,
            dropped_by_generator=counts.dropped_by_generator,
            cancelled=cancelled,
            **check.to_json(),
            dispatch_lag_ms_p50=round(self._lag.run.quantile_ms(0.5), 3),
            dispatch_lag_ms_p99=round(self._lag.run.quantile_ms(0.99), 3),
            dispatch_lag_ms_max=round(self._lag.run.max_ms, 3),
            cpu_ratio_max=round(self._cpu_ratio_max, 4),
        )

    def watch(self) -> None:
        """For ever: flush the rows twice a second, and write one `health` event a second."""
        cpu = CpuMeter(self._clock)
        flushed_ns = reported_ns = self._clock.now_ns()
        loop_lag_ns = 0
        while True:
            before_ns = self._clock.now_ns()
            self._concurrency.sleep(_PING_S)
            now_ns = self._clock.now_ns()
            loop_lag_ns = max(loop_lag_ns, now_ns - before_ns - int(_PING_S * NS_PER_S))
            if now_ns - flushed_ns >= _FLUSH_NS:
                self._sinks.recorder.flush()
                flushed_ns = now_ns
            if now_ns - reported_ns >= NS_PER_S:
                self._report(cpu, loop_lag_ns)
                reported_ns, loop_lag_ns = now_ns, 0

    def _report(self, cpu: CpuMeter, loop_lag_ns: int) -> None:
        cpu_ratio, steal_ratio = cpu.read()
        self._cpu_ratio_max = max(self._cpu_ratio_max, cpu_ratio)
        lags = self._lag.take()
        counts = self._dispatcher.counts
        self._event(
            "health",
            loop_lag_ms_max=round(loop_lag_ns / 1e6, 3),
            dispatch_lag_ms_p99=round(quantile_ms(lags, 0.99), 3),
            started=len(lags),
            cpu_ratio=round(cpu_ratio, 4),
            steal_ratio=round(steal_ratio, 4),
            in_flight=counts.in_flight,
            arrivals=counts.arrivals,
        )

    def _spawn(self, arrival: Arrival, intended_ns: int) -> None:
        self._sinks.metrics.offered.inc()
        self._sinks.metrics.in_flight.inc()
        self._concurrency.spawn(lambda: self._serve(arrival, intended_ns))

    def _serve(self, arrival: Arrival, intended_ns: int) -> None:
        observation = self._journeys.observe(arrival, intended_ns)
        try:
            with self._concurrency.limit(self._plan.timeout_s):
                self._journeys.serve(arrival, observation)
        finally:
            self._dispatcher.done()
            self._sinks.metrics.in_flight.dec()
        self._lag.add(observation.start_ns - intended_ns)
        self._note(arrival, observation)

    def _drop(self, arrival: Arrival, intended_ns: int, cause: int) -> None:
        self._sinks.metrics.offered.inc()
        observation = self._journeys.observe(arrival, intended_ns)
        observation.outcome, observation.drop_cause = Outcome.DROPPED, cause
        observation.end_ns = self._clock.now_ns()
        self._note(arrival, observation)

    def _note(self, arrival: Arrival, observation: Observation) -> None:
        self._sinks.recorder.add(observation)
        question = self._knowledge.questions[arrival.question] if arrival.question >= 0 else None
        self._sinks.metrics.count(observation, question)
        self._sinks.announce(observation, arrival.journey)

    def _drain(self) -> None:
        """Wait for what is in flight, at most for the time limit of a request; after an early stop only for a moment."""
        begun_ns = self._clock.now_ns()
        while self._dispatcher.counts.in_flight:
            patience_s = _STOPPED_DRAIN_S if self._dispatcher.stopping else self._plan.timeout_s + 1.0
            if self._clock.now_ns() - begun_ns > patience_s * NS_PER_S:
                return
            self._concurrency.sleep(_PING_S)

    def _check_ingested(self, checker: IngestChecker | SidesChecker) -> IngestCheck:
        ids = self._ingested.ids
        if not ids:
            return IngestCheck()
        with self._concurrency.limit(self._ingest_patience_s() + _INGEST_ROUND_S * len(ids)):
            return checker.check(ids, self._ingest_patience_s)

    def _ingest_patience_s(self) -> float:
        return _STOPPED_PATIENCE_S if self._dispatcher.stopping else _INGEST_PATIENCE_S

    def _event(self, state: str, **figures: Any) -> None:
        self._sinks.record(Event(self._clock.now_ns(), LOAD, "truth", {"state": state, **figures}))
