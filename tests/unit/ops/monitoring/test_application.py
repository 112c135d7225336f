"""Caches, pools, providers, documents and quality, from counters of the telemetry contract over two rounds."""

from __future__ import annotations

import pytest

from harness.ops.monitoring.application import Application
from harness.ops.monitoring.rounds import Look, Round
from harness.ops.targets import Endpoint

Sample = tuple[str, dict[str, str], float]


def of(n: float) -> list[Sample]:
    model = {"provider": "llm", "model": "chat"}
    return [
        ("rag_cache_requests_total", {"cache": "answers", "tier": "memory", "result": "hit"}, 3.0 * n),
        ("rag_cache_requests_total", {"cache": "answers", "tier": "redis", "result": "hit"}, 1.0 * n),
        ("rag_cache_requests_total", {"cache": "answers", "tier": "redis", "result": "miss"}, 1.0 * n),
        ("rag_pool_size", {"pool": "db"}, 8.0),
        ("rag_pool_in_use", {"pool": "db"}, 6.0),
        ("rag_pool_waiting", {"pool": "db"}, 2.0),
        ("rag_ingest_total", {"state": "indexed"}, 6.0 * n),
        ("rag_ingest_total", {"state": "dead"}, 2.0 * n),
        ("rag_vector_rejected_total", {"reason": "payload"}, 1.0 * n),
        ("rag_active_users", {}, 4.0),
        ("rag_requests_total", {"route": "/ask", "status": "200"}, 10.0 * n),
        ("rag_requests_total", {"route": "/metrics", "status": "200"}, 99.0 * n),
        ("rag_degraded_total", {"reason": "no_context"}, 1.0 * n),
        ("rag_llm_requests_total", {**model, "outcome": "ok"}, 9.0 * n),
        ("rag_llm_requests_total", {**model, "outcome": "timeout"}, 1.0 * n),
        ("rag_llm_tokens_total", {**model, "direction": "completion"}, 180.0 * n),
        ("rag_llm_tokens_total", {**model, "direction": "prompt"}, 450.0 * n),
        ("rag_llm_first_token_seconds_sum", model, 4.5 * n),
        ("rag_llm_first_token_seconds_count", model, 9.0 * n),
        ("rag_other", {}, 1.0),
    ]


def test_everything_that_the_contract_tells() -> None:
    application, found = Application(), {}
    for n in (0, 1, 2):
        looks = (Look(Endpoint("generation", "generation-1", "http://x"), 0.01, of(100.0 + n)),)
        users = [("client_quality_total", {"result": r}, k * n) for r, k in (("correct", 9.0), ("wrong", 1.0), ("refused", 7.0))]
        found = {r.key: (r.value, r.events) for r in application.take(Round(10.0 + 5 * n, looks, users), 5.0 * n)}
    assert found == {
        "generation/cache_hits": (0.8, 10),
        "generation/pool_used:db": (0.75, None),
        "generation/pool_waiting:db": (2.0, None),
        "generation/documents_per_s:indexed": (1.2, None),
        "generation/documents_per_s:dead": (0.4, None),
        "generation/documents_failed": (0.25, 16),
        "generation/vectors_rejected_per_s:payload": (0.2, None),
        "generation/users": (4.0, None),
        "generation/queries_per_user": (30.0, None),
        "generation/degraded_per_s:no_context": (0.2, None),
        "llm/requests_per_s:chat": (2.0, None),
        "llm/failures:chat": (0.1, 20),
        "llm/tokens_per_s:chat:completion": (36.0, None),
        "llm/tokens_per_s:chat:prompt": (90.0, None),
        "llm/answer_tokens:chat": (20.0, 18),
        "llm/prompt_tokens:chat": (50.0, 18),
        "llm/first_token:chat": (0.5, 18),
        "client/quality": (0.9, 20),
        "client/refused": (pytest.approx(14 / 34), 34),
    }


def test_nothing_is_said_of_what_is_not_told() -> None:
    assert list(Application().take(Round(1.0, ()), 10.0)) == []
