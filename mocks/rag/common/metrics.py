"""The metrics of the telemetry contract (docs/reference-stack.md), in prometheus_client's default registry."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

# A `_created` series per counter and histogram would double the size of every scrape and nobody reads them.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves this function untyped

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 30.0)

REQUESTS = Counter("rag_requests_total", "Requests served", ["route", "method", "status"])
REQUEST_DURATION = Histogram("rag_request_duration_seconds", "Duration of requests served", ["route"], buckets=BUCKETS_S)
REQUEST_SELF = Histogram(
    "rag_request_self_seconds", "Duration of requests served without the time spent waiting for callees", ["route"], buckets=BUCKETS_S
)
REQUESTS_IN_PROGRESS = Gauge("rag_requests_in_progress", "Requests being served")

CLIENT_REQUESTS = Counter("rag_client_requests_total", "Attempts made at callees", ["callee", "outcome"])
CLIENT_DURATION = Histogram(
    "rag_client_request_duration_seconds", "Duration of attempts at callees, streams to the first byte", ["callee"], buckets=BUCKETS_S
)
CLIENT_IN_PROGRESS = Gauge("rag_client_requests_in_progress", "Attempts at callees under way", ["callee"])
CLIENT_RETRIES = Counter("rag_client_retries_total", "Attempts after the first", ["callee"])
INSTANCE_HEALTHY = Gauge("rag_client_instance_healthy", "1 in rotation, 0 out", ["callee", "instance"])
CIRCUIT_STATE = Gauge("rag_circuit_state", "0 closed, 1 half-open, 2 open", ["callee"])

POOL_SIZE = Gauge("rag_pool_size", "Connections in the pool", ["pool"])
POOL_IN_USE = Gauge("rag_pool_in_use", "Connections handed out", ["pool"])
POOL_WAITING = Gauge("rag_pool_waiting", "Callers waiting for a connection", ["pool"])

CACHE_REQUESTS = Counter("rag_cache_requests_total", "Cache look-ups", ["cache", "tier", "result"])
QUEUE_LENGTH = Gauge("rag_queue_length", "Entries waiting", ["queue"])
INGEST = Counter("rag_ingest_total", "Documents by what became of them", ["state"])
DEGRADED = Counter("rag_degraded_total", "Answers served by something else than the preferred path", ["reason"])

LLM_REQUESTS = Counter("rag_llm_requests_total", "Requests to LLM providers", ["provider", "model", "outcome"])
LLM_TOKENS = Counter("rag_llm_tokens_total", "Tokens by direction", ["provider", "model", "direction"])
LLM_FIRST_TOKEN = Histogram("rag_llm_first_token_seconds", "Time to the first token", ["provider", "model"], buckets=BUCKETS_S)

VECTOR_REJECTED = Counter("rag_vector_rejected_total", "Hits of the vector store that could not be used", ["reason"])
VECTOR_RECREATED = Counter("rag_vector_recreated_total", "Times that the collection was found under another id")

RATE_LIMITED = Counter("rag_rate_limited_total", "Requests refused by a rate limit", ["reason"])
AUTH_FAILURES = Counter("rag_auth_failures_total", "Requests refused for their credentials", ["reason"])
BUILD_INFO = Gauge("rag_build_info", "1, labelled with what runs here", ["service", "version"])
