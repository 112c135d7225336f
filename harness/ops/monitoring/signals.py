"""What the last few seconds of telemetry say, per edge, per service and at the client. The metric names are the telemetry contract's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.ops.monitoring import nodes, stores
from harness.ops.monitoring.windows import Key, Windows

# Told by probes and control groups for alert rules in files; no rule of the operator's own asks for them.
_OF_RULE_FILES = ("container_processes", "pg_up", "redis_expired_keys_total", "redis_memory_used_bytes", "redis_memory_max_bytes")

# What the operator keeps of a scrape: what some rule of its own asks for.
WATCHED = (
    "rag_requests_total",
    "rag_request_duration_seconds_sum",
    "rag_request_duration_seconds_count",
    "rag_requests_in_progress",
    "rag_client_requests_total",
    "rag_client_request_duration_seconds_sum",
    "rag_client_request_duration_seconds_count",
    "rag_client_requests_in_progress",
    "rag_queue_length",
    "rag_degraded_total",
    "client_requests_total",
    "client_request_duration_seconds_bucket",
    "client_quality_total",
    "client_offered_total",
    "rag_llm_requests_total",
    "rag_llm_tokens_total",
    "vllm:time_per_output_token_seconds_sum",
    "vllm:time_per_output_token_seconds_count",
    "rag_auth_failures_total",
    "rag_vector_rejected_total",
    "rag_vector_recreated_total",
    "rag_ingest_total",
    "rag_pool_size",
    "rag_pool_waiting",
    "rag_cache_requests_total",
    "rag_build_info",
    "process_resident_memory_bytes",
    "process_open_fds",
    "process_start_time_seconds",
    "process_cpu_seconds_total",
    *(name for name in (*nodes.SAMPLES, *stores.SAMPLES) if name not in _OF_RULE_FILES),
)


@dataclass(slots=True)
class Flow:
    """Work that came, stayed and went over the window, summed over instances."""

    finished: float = 0.0
    duration_sum_s: float = 0.0
    in_progress: float = 0.0
    in_progress_before: float = 0.0

    @property
    def latency_s(self) -> float | None:
        """Mean duration of what ended in the window."""
        return self.duration_sum_s / self.finished if self.finished else None

    @property
    def arrived(self) -> float:
        """What came in during the window: what ended, and what is there now but was not."""
        return self.finished + self.in_progress - self.in_progress_before

    def residence_s(self, window_s: float) -> float | None:
        """Time that work stays, by Little's law: in progress / arrival rate. It shows a stall before anything has ended, and
        does not grow with the load alone, as a plain count does.
        """
        return self.in_progress * window_s / self.arrived if self.arrived >= 1.0 else None


@dataclass(slots=True)
class EdgeSignal(Flow):
    """Calls from one service to another."""

    attempts: float = 0.0
    outcomes: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def share(self, *outcomes: str) -> float:
        """Share of attempts that ended in one of the outcomes."""
        return sum(self.outcomes.get(o, 0.0) for o in outcomes) / self.attempts if self.attempts else 0.0


@dataclass(slots=True)
class ServiceSignal(Flow):
    """Requests that a service answered, over all routes; probes and metrics are left out."""

    requests: float = 0.0
    errors: float = 0.0
    routes: dict[str, Flow] = field(default_factory=lambda: defaultdict(Flow))  # what ended, apart: a mean over all moves with their mix


@dataclass(frozen=True, slots=True)
class ClientSignal:
    """What users saw over the window."""

    requests: float
    failures: float
    latency_s_p95: float | None


@dataclass(frozen=True, slots=True)
class Signals:
    """Everything derived at one moment."""

    t_s: float
    window_s: float
    edges: Mapping[tuple[str, str], EdgeSignal]
    services: Mapping[str, ServiceSignal]
    client: ClientSignal
    queues: Mapping[tuple[str, str], float]


_CONTROL_ROUTES = ("/health", "/ready", "/metrics")


def derive(windows: Windows, t_s: float, window_s: float) -> Signals:
    """Signals over the last `window_s` seconds."""
    return Signals(
        t_s=t_s,
        window_s=window_s,
        edges=_edges(windows, t_s, window_s),
        services=_services(windows, t_s, window_s),
        client=_client(windows, t_s, window_s),
        queues={(k.service, k.label("queue")): v for k, v in windows.latest("rag_queue_length", t_s, window_s)},
    )


def _edges(windows: Windows, t_s: float, window_s: float) -> dict[tuple[str, str], EdgeSignal]:
    edges: dict[tuple[str, str], EdgeSignal] = defaultdict(EdgeSignal)

    def edge(key: Key) -> EdgeSignal:
        return edges[key.service, key.label("callee")]

    for key, grown in windows.increases("rag_client_requests_total", t_s, window_s):
        edge(key).attempts += grown
        edge(key).outcomes[key.label("outcome")] += grown
    for key, grown in windows.increases("rag_client_request_duration_seconds_sum", t_s, window_s):
        edge(key).duration_sum_s += grown
    for key, grown in windows.increases("rag_client_request_duration_seconds_count", t_s, window_s):
        edge(key).finished += grown
    for key, newest, oldest in windows.span("rag_client_requests_in_progress", t_s, window_s):
        edge(key).in_progress += newest
        edge(key).in_progress_before += oldest
    return dict(edges)


def _services(windows: Windows, t_s: float, window_s: float) -> dict[str, ServiceSignal]:
    services: dict[str, ServiceSignal] = defaultdict(ServiceSignal)
    for key, grown in windows.increases("rag_requests_total", t_s, window_s):
        if key.label("route") not in _CONTROL_ROUTES:
            services[key.service].requests += grown
            services[key.service].errors += grown if key.label("status").startswith("5") else 0.0
    for key, grown in windows.increases("rag_request_duration_seconds_sum", t_s, window_s):
        if (route := key.label("route")) not in _CONTROL_ROUTES:
            services[key.service].duration_sum_s += grown
            services[key.service].routes[route].duration_sum_s += grown
    for key, grown in windows.increases("rag_request_duration_seconds_count", t_s, window_s):
        if (route := key.label("route")) not in _CONTROL_ROUTES:
            services[key.service].finished += grown
            services[key.service].routes[route].finished += grown
    for key, newest, oldest in windows.span("rag_requests_in_progress", t_s, window_s):
        services[key.service].in_progress += newest
        services[key.service].in_progress_before += oldest
    return dict(services)


_SERVED = ("ok",)


def _client(windows: Windows, t_s: float, window_s: float) -> ClientSignal:
    requests = failures = 0.0
    for key, grown in windows.increases("client_requests_total", t_s, window_s):
        requests += grown
        failures += 0.0 if key.label("outcome") in _SERVED else grown
    buckets: dict[float, float] = defaultdict(float)
    for key, grown in windows.increases("client_request_duration_seconds_bucket", t_s, window_s):
        buckets[float(key.label("le"))] += grown
    return ClientSignal(requests, failures, _quantile(buckets, 0.95))


def _quantile(buckets: Mapping[float, float], q: float) -> float | None:
    """Linear interpolation inside the bucket, as Prometheus' histogram_quantile; the last bucket answers its lower bound."""
    bounds = sorted(buckets)
    total = buckets[bounds[-1]] if bounds else 0.0
    if total <= 0:
        return None
    below, lower = 0.0, 0.0
    for bound in bounds:
        if buckets[bound] >= q * total:
            if bound == float("inf"):
                return lower
            inside = buckets[bound] - below
            return lower + (bound - lower) * ((q * total - below) / inside if inside else 1.0)
        below, lower = buckets[bound], bound
    return lower
