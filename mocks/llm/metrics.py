"""Metrics under vLLM's names, and under those of the stack's telemetry contract."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics, generate_latest

disable_created_metrics()  # type: ignore[no-untyped-call]  # the library left it bare; a `_created` series beside each counter would double every scrape

_DURATION_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 2, 3, 5, 8, 12, 20, 30)
_TTFT_BUCKETS_S = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80)  # vLLM's
_TPOT_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5)


class Metrics:
    """One process's metrics, in a registry of their own."""

    def __init__(self, service: str, version: str) -> None:
        self.registry = CollectorRegistry()
        own = self.registry
        self._requests = Counter("rag_requests_total", "Requests answered", ["route", "method", "status"], registry=own)
        self._duration = Histogram(
            "rag_request_duration_seconds", "From arrival to the last byte", ["route"], buckets=_DURATION_BUCKETS_S, registry=own
        )
        self._in_progress = Gauge("rag_requests_in_progress", "Requests being answered", registry=own)
        self._running = Gauge("vllm:num_requests_running", "Generations under way", ["model_name"], registry=own)
        self._ttft = Histogram(
            "vllm:time_to_first_token_seconds", "From arrival to the first token", ["model_name"], buckets=_TTFT_BUCKETS_S, registry=own
        )
        self._tpot = Histogram(
            "vllm:time_per_output_token_seconds", "Between two tokens", ["model_name"], buckets=_TPOT_BUCKETS_S, registry=own
        )
        self._prompt_tokens = Counter("vllm:prompt_tokens_total", "Tokens read", ["model_name"], registry=own)
        self._generated_tokens = Counter("vllm:generation_tokens_total", "Tokens sent", ["model_name"], registry=own)
        Gauge("rag_build_info", "1, labelled with the build", ["service", "version"], registry=own).labels(service, version).set(1)
        ProcessCollector(registry=own)

    def arrived(self) -> None:
        """A request has arrived."""
        self._in_progress.inc()

    def finished(self, method: str, route: str, status: int, duration_s: float) -> None:
        """A request has ended; `status` 0 means that the client went before there was one."""
        self._in_progress.dec()
        self._requests.labels(route, method, str(status or 499)).inc()
        self._duration.labels(route).observe(duration_s)

    def generation_begins(self, model: str) -> None:
        """A chat answer is being made."""
        self._running.labels(model).inc()

    def generation_ends(self, model: str, first_s: float | None, gaps_s: list[float]) -> None:
        """It is made, or its client has gone: time to the first token if one was sent, and the gaps between the further writes."""
        self._running.labels(model).dec()
        if first_s is not None:
            self._ttft.labels(model).observe(first_s)
        tpot = self._tpot.labels(model)
        for gap_s in gaps_s:
            tpot.observe(gap_s)

    def tokens(self, model: str, prompt: int, completion: int) -> None:
        """Tokens read and sent for one request."""
        self._prompt_tokens.labels(model).inc(prompt)
        self._generated_tokens.labels(model).inc(completion)

    def render(self) -> bytes:
        """The Prometheus text of `GET /metrics`."""
        return generate_latest(self.registry)
