"""Names of the telemetry contract (docs/reference-stack.md): metrics, and the values their labels take.

Histograms are named by their base; their series end in `_bucket`, `_sum` and `_count`.
"""

from __future__ import annotations

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 30.0)

# A service about its own requests.
REQUESTS = "rag_requests_total"  # route, method, status
REQUEST_DURATION = "rag_request_duration_seconds"  # histogram: route
REQUEST_SELF = "rag_request_self_seconds"  # histogram: route; without the time spent waiting for callees
REQUESTS_IN_PROGRESS = "rag_requests_in_progress"

# A service about those it calls.
CLIENT_REQUESTS = "rag_client_requests_total"  # callee, outcome
CLIENT_DURATION = "rag_client_request_duration_seconds"  # histogram: callee; every attempt, streams to the first byte
CLIENT_IN_PROGRESS = "rag_client_requests_in_progress"  # callee
CLIENT_RETRIES = "rag_client_retries_total"  # callee
CLIENT_INSTANCE_HEALTHY = "rag_client_instance_healthy"  # callee, instance; 1 in rotation, 0 out
CIRCUIT_STATE = "rag_circuit_state"  # callee; 0 closed, 1 half-open, 2 open

OK, TIMEOUT, HTTP_4XX, HTTP_5XX = "ok", "timeout", "http_4xx", "http_5xx"
CONNECT_ERROR, CONNECTION_LOST = "connect_error", "connection_lost"  # nobody took it; it ended before the answer was whole
RATE_LIMITED, CIRCUIT_OPEN, ERROR = "rate_limited", "circuit_open", "error"
CLIENT_OUTCOMES = (OK, TIMEOUT, CONNECT_ERROR, CONNECTION_LOST, HTTP_4XX, HTTP_5XX, RATE_LIMITED, CIRCUIT_OPEN, ERROR)

# Resources of a service.
POOL_SIZE = "rag_pool_size"  # pool
POOL_IN_USE = "rag_pool_in_use"  # pool
POOL_WAITING = "rag_pool_waiting"  # pool
CACHE_REQUESTS = "rag_cache_requests_total"  # cache, tier: memory | redis, result: hit | miss | error
QUEUE_LENGTH = "rag_queue_length"  # queue: ingest | spool | dead
INGEST = "rag_ingest_total"  # state: accepted | spooled | indexed | retried | dead
DEGRADED = "rag_degraded_total"  # reason
VECTOR_REJECTED = "rag_vector_rejected_total"  # reason: score | payload | oversize | duplicate | superseded
VECTOR_RECREATED = "rag_vector_recreated_total"
RATE_LIMITED_TOTAL = "rag_rate_limited_total"  # reason
ACTIVE_USERS = "rag_active_users"  # who has asked in the last five minutes
AUTH_FAILURES = "rag_auth_failures_total"  # reason
BUILD_INFO = "rag_build_info"  # service, version

# The provider, as generation and embedding see it, and as it reports itself.
LLM_REQUESTS = "rag_llm_requests_total"  # provider, model, outcome
LLM_TOKENS = "rag_llm_tokens_total"  # provider, model, direction: prompt | completion
LLM_FIRST_TOKEN = "rag_llm_first_token_seconds"  # histogram: provider, model
VLLM_RUNNING = "vllm:num_requests_running"
VLLM_FIRST_TOKEN = "vllm:time_to_first_token_seconds"  # histogram
VLLM_TIME_PER_TOKEN = "vllm:time_per_output_token_seconds"  # histogram
VLLM_PROMPT_TOKENS = "vllm:prompt_tokens_total"
VLLM_GENERATION_TOKENS = "vllm:generation_tokens_total"

# Any process, by prometheus-client.
PROCESS_CPU = "process_cpu_seconds_total"
PROCESS_MEMORY = "process_resident_memory_bytes"
PROCESS_DESCRIPTORS = "process_open_fds"
PROCESS_START = "process_start_time_seconds"

# Clients, by the load process.
CLIENT_SIDE_REQUESTS = "client_requests_total"  # journey, outcome: ok | error | timeout | dropped | rejected | truncated
CLIENT_SIDE_DURATION = "client_request_duration_seconds"  # histogram: journey; from the intended start
CLIENT_SIDE_FIRST_TOKEN = "client_first_token_seconds"  # histogram
CLIENT_SIDE_IN_FLIGHT = "client_requests_in_flight"
CLIENT_SIDE_OFFERED = "client_offered_total"
CLIENT_SIDE_QUALITY = "client_quality_total"  # result: correct | wrong | refused
