"""What `GET /metrics` says: what is generated, in vLLM's names, and the requests, in those of the stack's telemetry contract."""

from collections.abc import Callable, Iterable

import numpy as np
from prometheus_client import CollectorRegistry, Gauge, ProcessCollector, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from mocks.common.series import Histogram
from mocks.llm.vllm import Generations, families

disable_created_metrics()  # type: ignore[no-untyped-call]  # the library left it bare; a `_created` series beside each counter would double every scrape

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BATCH = 1_024
_LEFT = 499
_DURATION_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 2, 3, 5, 8, 12, 20, 30)


class Metrics(Collector):
    """One process's metrics, in a registry of their own."""

    def __init__(self, service: str, version: str) -> None:
        self.in_progress = 0
        self.bugs = 0
        """Requests that a fault of the mock itself, not one that was put, has ended."""
        self._models: dict[str, Generations] = {}
        self._requests: dict[tuple[str, str, int], int] = {}
        self._durations: dict[str, Histogram] = {}
        self._before_reading: Callable[[], None] | None = None
        self._waiting: list[tuple[str, str, int, float]] = []
        self.registry = CollectorRegistry()
        self.registry.register(self)
        Gauge("rag_build_info", "1, labelled with the build", ["service", "version"], registry=self.registry).labels(service, version).set(
            1
        )
        ProcessCollector(registry=self.registry)

    def model(self, name: str) -> Generations:
        """The series of a model; only for names that the provider has, or a client could make them grow for ever."""
        found = self._models.get(name)
        if found is None:
            found = self._models[name] = Generations()
        return found

    def answered(self, method: str, route: str, status: int, duration_s: float) -> None:
        """A request has ended; `status` 0 means that the client went before there was one."""
        self._waiting.append((route, method, status, duration_s))
        if len(self._waiting) >= _BATCH:
            self._settle()

    def _settle(self) -> None:
        """Count those that have ended; many at once cost a tenth of what each would by itself."""
        by_route: dict[str, list[float]] = {}
        for route, method, status, duration_s in self._waiting:
            key = route, method, status
            self._requests[key] = self._requests.get(key, 0) + 1
            by_route.setdefault(route, []).append(duration_s)
        self._waiting.clear()
        for route, durations_s in by_route.items():
            self._durations.setdefault(route, Histogram(_DURATION_BUCKETS_S)).observe_all(np.array(durations_s))

    def before_reading(self, callback: Callable[[], None]) -> None:
        """Call back whenever somebody is going to read: who counts requests later than they end does it then."""
        self._before_reading = callback

    def render(self) -> bytes:
        """The Prometheus text of `GET /metrics`."""
        return generate_latest(self.registry)

    def collect(self) -> Iterable[Metric]:
        """For the registry."""
        if self._before_reading is not None:
            self._before_reading()
        self._settle()
        requests = CounterMetricFamily("rag_requests", "Requests answered", labels=["route", "method", "status"])
        for (route, method, status), count in self._requests.items():
            requests.add_metric([route, method, str(status or _LEFT)], count)
        durations = HistogramMetricFamily("rag_request_duration_seconds", "From arrival to the last byte", labels=["route"])
        for route, histogram in self._durations.items():
            histogram.add_to(durations, [route])
        yield from (requests, durations)
        yield GaugeMetricFamily("rag_requests_in_progress", "Requests being answered", self.in_progress)
        yield CounterMetricFamily("gauntlet_mock_errors", "Requests that a bug of the mock has ended", self.bugs)
        yield from families(self._models)
