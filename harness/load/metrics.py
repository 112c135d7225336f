"""Service levels as clients see them, as Prometheus metrics. Names and labels know journeys and outcomes, nothing of the experiment.

Counted from the rows of the record, many at once: what is written down and what is scraped cannot differ, and a request costs next to
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from harness.load.dispatch import Counts
from harness.record.requests import Outcome

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 2, 3, 5, 8, 12, 20, 30)
_BORDERS = np.array(BUCKETS_S)
_RESULTS = ("correct", "refused", "wrong")


class _Histogram:
    """Durations in BUCKETS_S and beyond."""

    def __init__(self) -> None:
        self._counts = np.zeros(len(BUCKETS_S) + 1, dtype=np.int64)
        self._sum_s = 0.0

    def add(self, durations_ns: NDArray[np.int64]) -> None:
        seconds = durations_ns / 1e9
        self._counts += np.bincount(np.searchsorted(_BORDERS, seconds, side="left"), minlength=len(self._counts))
        self._sum_s += float(seconds.sum())

    def show(self, family: HistogramMetricFamily, labels: list[str]) -> None:
        """Nothing of nothing."""
        if self._counts.any():
            names = [*(str(float(border)) for border in BUCKETS_S), "+Inf"]
            family.add_metric(labels, list(zip(names, np.cumsum(self._counts).tolist(), strict=True)), self._sum_s)


class ClientMetrics(Collector):
    """The client-side metrics of the telemetry contract."""

    def __init__(self, journeys: tuple[str, ...]) -> None:
        self.registry = CollectorRegistry()
        self._journeys = journeys
        self._ended = np.zeros((len(journeys), len(Outcome)), dtype=np.int64)
        self._durations = [_Histogram() for _ in journeys]
        self._first = _Histogram()
        self._quality = np.zeros(len(_RESULTS), dtype=np.int64)
        self._catch_up: Callable[[], None] = lambda: None
        self._counts = Counts()
        self.registry.register(self)

    def rename(self, journeys: tuple[str, ...]) -> None:
        """More journeys; they begin with those that there were."""
        more = len(journeys) - len(self._journeys)
        self._ended = np.vstack([self._ended, np.zeros((more, len(Outcome)), dtype=np.int64)])
        self._durations += [_Histogram() for _ in range(more)]
        self._journeys = journeys

    def follow(self, counts: Counts, catch_up: Callable[[], None]) -> None:
        """Show these counts; `catch_up` is called before each scrape, so that rows that wait to be written are counted."""
        self._counts, self._catch_up = counts, catch_up

    def count(self, rows: NDArray[Any]) -> None:
        """Count requests that have ended: rows of REQUEST. By columns: a copy of some of the rows takes longer than all the rest."""
        journey, outcome = rows["journey"], rows["outcome"]
        kinds = np.bincount(journey.astype(np.intp) * len(Outcome) + outcome, minlength=self._ended.size)
        self._ended += kinds.reshape(self._ended.shape)
        sent, duration_ns = outcome != Outcome.DROPPED, rows["end_ns"] - rows["intended_ns"]
        for number in np.flatnonzero(kinds.reshape(self._ended.shape).any(axis=1)):
            self._durations[number].add(duration_ns[sent & (journey == number)])
        first_ns = rows["first_ns"]
        if (begun := first_ns > 0).any():
            self._first.add((first_ns - rows["intended_ns"])[begun])
        self._count_quality(rows, outcome == Outcome.OK)

    def _count_quality(self, rows: NDArray[Any], served: NDArray[np.bool_]) -> None:
        canary, refused = rows["canary"], rows["refused"]
        answered = served & (rows["question"] >= 0) & (refused >= 0)
        if not answered.any():
            return
        # Right: the canary, or a refusal where there is nothing to be found (no canary). A refusal where there is something is `refused`.
        right = answered & ((canary == 1) | ((canary == -1) & (refused == 1)))
        said_no = answered & ~right & (refused == 1)
        self._quality += np.array([right.sum(), said_no.sum(), (answered & ~right & ~said_no).sum()])

    def collect(self) -> Iterator[Metric]:
        self._catch_up()
        yield self._requests()
        yield from self._times()
        quality = CounterMetricFamily("client_quality", "Complete answers by what they hold", labels=["result"])
        for result, count in zip(_RESULTS, self._quality.tolist(), strict=True):
            if count:
                quality.add_metric([result], count)
        yield quality
        yield CounterMetricFamily("client_offered", "Intended requests", value=self._counts.arrivals)
        yield GaugeMetricFamily("client_requests_in_flight", "Requests without an end", value=self._counts.in_flight)

    def _requests(self) -> Metric:
        family = CounterMetricFamily("client_requests", "Requests by how they ended", labels=["journey", "outcome"])
        for number, outcome in np.argwhere(self._ended).tolist():
            family.add_metric([self._journeys[number], Outcome(outcome).name.lower()], int(self._ended[number, outcome]))
        return family

    def _times(self) -> Iterator[Metric]:
        whole = HistogramMetricFamily("client_request_duration_seconds", "From the intended start to the end", labels=["journey"])
        for journey, histogram in zip(self._journeys, self._durations, strict=True):
            histogram.show(whole, [journey])
        yield whole
        first = HistogramMetricFamily("client_first_token_seconds", "From the intended start to the first content", labels=[])
        self._first.show(first, [])
        yield first
