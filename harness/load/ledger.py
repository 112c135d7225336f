"""The account of one load, whatever engine carries it out: the rows, the generator's own health, and the first and the last event."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from harness.load.dispatch import Counts
from harness.load.health import CpuMeter, DispatchLag
from harness.load.ingest import IngestCheck
from harness.load.metrics import ClientMetrics
from harness.load.observation import Observation
from harness.load.plan import LoadPlan
from harness.load.recorder import Recorder
from harness.record.clock import NS_PER_S, Clock
from harness.record.events import LOAD, Event
from harness.record.frames import joined
from harness.record.requests import REQUEST_DTYPE

PING_S = 0.05
_FLUSH_NS = NS_PER_S // 2
# What is counted takes some 0.3 ms however few rows it is counted from: with every frame, that was 4 % of the processor time of a request.
# More rows at once would hold back the arrivals that are due meanwhile.
_COUNTED_AT_ONCE = 2048


@dataclass(frozen=True, slots=True)
class Sinks:
    """Where a load is written down."""

    record: Callable[[Event], Event]
    recorder: Recorder
    metrics: ClientMetrics
    announce: Callable[[Observation], None] | None = None  # a request that has ended: Locust's request event


def opening(plan: LoadPlan) -> dict[str, Any]:
    """What is known of a load when it begins."""
    known: dict[str, Any] = {"engine": plan.engine, "model": plan.model}
    if plan.pieces:
        known["expected_arrivals"] = round(plan.shape.expected(0.0, plan.duration_s), 1)
    elif plan.closed is not None:
        known |= {"users": plan.closed.users} | ({"think_s": plan.closed.think_s} if plan.locustfile is None else {})
    if plan.locustfile is not None:
        known["locustfile"] = plan.locustfile
    return known


class Ledger:
    """Call `ended` for each arrival, however it ended, and `look` every PING_S."""

    def __init__(self, plan: LoadPlan, clock: Clock, sinks: Sinks, counts: Counts) -> None:
        self._plan = plan
        self._clock = clock
        self._sinks = sinks
        self._counts = counts
        self._lag = DispatchLag()
        self._cpu = CpuMeter(clock)
        self._cpu_ratio_max = 0.0
        self._flushed_ns = self._reported_ns = self._looked_ns = clock.now_ns()
        self._loop_lag_ns = 0
        self._uncounted: list[NDArray[Any]] = []
        self._uncounted_rows = 0
        sinks.metrics.follow(counts, self.catch_up)
        sinks.recorder.show(self._written)

    def started(self, t0_ns: int) -> None:
        self._event("started", t0_ns=t0_ns, **opening(self._plan))

    def ended(self, observation: Observation) -> None:
        """A request that was sent, or an arrival that was not."""
        self._sinks.recorder.add(observation)
        if self._sinks.announce is not None:
            self._sinks.announce(observation)

    def look(self) -> None:
        """Flush the rows twice a second, and write one `health` event a second. Lateness of these calls is the lag of the event loop."""
        now_ns = self._clock.now_ns()
        self._loop_lag_ns = max(self._loop_lag_ns, now_ns - self._looked_ns - int(PING_S * NS_PER_S))
        if now_ns - self._flushed_ns >= _FLUSH_NS:
            self._sinks.recorder.flush()
            self._flushed_ns = now_ns
        if now_ns - self._reported_ns >= NS_PER_S:
            self._health()
            self._reported_ns = now_ns
        self._looked_ns = self._clock.now_ns()

    def finished(self, *, early: bool, cancelled: int, check: IngestCheck) -> None:
        """The last event; nothing is noted afterwards."""
        self.catch_up()
        counts = self._counts
        self._event(
            "finished",
            early=early,
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

    def _health(self) -> None:
        cpu_ratio, steal_ratio = self._cpu.read()
        self._cpu_ratio_max = max(self._cpu_ratio_max, cpu_ratio)
        self.catch_up()
        lags = self._lag.take()
        self._event(
            "health",
            loop_lag_ms_max=round(self._loop_lag_ns / 1e6, 3),
            dispatch_lag_ms_p99=round(lags.quantile_ms(0.99), 3),
            started=lags.total,
            cpu_ratio=round(cpu_ratio, 4),
            steal_ratio=round(steal_ratio, 4),
            in_flight=self._counts.in_flight,
            arrivals=self._counts.arrivals,
        )
        self._loop_lag_ns = 0

    def catch_up(self) -> None:
        """Write and count every request that has ended."""
        self._sinks.recorder.flush()
        self._count()

    def _written(self, rows: NDArray[Any]) -> None:
        self._uncounted.append(rows)
        self._uncounted_rows += len(rows)
        if self._uncounted_rows >= _COUNTED_AT_ONCE:
            self._count()

    def _count(self) -> None:
        """Client metrics and lateness, from rows that were written: nothing is counted request by request."""
        if not self._uncounted:
            return
        rows = joined(self._uncounted, REQUEST_DTYPE)
        self._uncounted, self._uncounted_rows = [], 0
        self._sinks.metrics.count(rows)
        start_ns = rows["start_ns"]
        self._lag.add((start_ns - rows["intended_ns"])[start_ns > 0])

    def _event(self, state: str, **figures: Any) -> None:
        self._sinks.record(Event(self._clock.now_ns(), LOAD, "truth", {"state": state, **figures}))
