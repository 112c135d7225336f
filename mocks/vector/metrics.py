"""What `GET /metrics` says: requests, in the names of the stack's telemetry contract, and what is held."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from mocks.common.series import Histogram
from mocks.vector.store import Store

disable_created_metrics()  # type: ignore[no-untyped-call]  # the library left it bare; a `_created` series beside each counter would double every scrape

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 2, 3, 5, 8, 12, 20, 30)


class VectorMetrics(Collector):
    """One process's metrics, in a registry of their own."""

    def __init__(self, store: Store, service: str, version: str) -> None:
        self.in_progress = 0
        self.bugs = 0
        """Requests that a fault of the mock itself, not one that was put, has ended."""
        self._store = store
        self._requests: dict[tuple[str, str, int], int] = {}
        self._durations: dict[str, Histogram] = {}
        self.registry = CollectorRegistry()
        self.registry.register(self)
        build = Gauge("rag_build_info", "1, labelled with the build", ["service", "version"], registry=self.registry)
        build.labels(service, version).set(1)
        ProcessCollector(registry=self.registry)

    def answered(self, method: str, route: str, status: int, duration_s: float) -> None:
        """A request has ended; `status` 0 means that the client went before there was one."""
        key = (route, method, status or 499)
        self._requests[key] = self._requests.get(key, 0) + 1
        durations = self._durations.get(route)
        if durations is None:
            durations = self._durations[route] = Histogram(_BUCKETS_S)
        durations.observe(duration_s)

    def render(self) -> bytes:
        """The Prometheus text of `GET /metrics`."""
        return generate_latest(self.registry)

    def collect(self) -> Iterable[Metric]:
        """For the registry."""
        requests = CounterMetricFamily("rag_requests", "Requests answered", labels=["route", "method", "status"])
        for (route, method, status), count in self._requests.items():
            requests.add_metric([route, method, str(status)], count)
        durations = HistogramMetricFamily("rag_request_duration_seconds", "From arrival to the last byte", labels=["route"])
        for route, histogram in self._durations.items():
            histogram.add_to(durations, [route])
        points = GaugeMetricFamily("vector_points", "Points of all collections of that name", labels=["collection"])
        held: dict[str, int] = {}
        for one in self._store.collections.values():
            held[one.name] = held.get(one.name, 0) + len(one.points)
        for name, count in held.items():
            points.add_metric([name], count)
        yield from (requests, durations, points)
        yield GaugeMetricFamily("rag_requests_in_progress", "Requests being answered", self.in_progress)
        yield CounterMetricFamily("gauntlet_mock_errors", "Requests that a bug of the mock has ended", self.bugs)
        yield GaugeMetricFamily("vector_collections", "Collections", len(self._store.collections))
        yield GaugeMetricFamily("vector_bytes", "Memory of vectors", sum(one.size_bytes for one in self._store.collections.values()))
