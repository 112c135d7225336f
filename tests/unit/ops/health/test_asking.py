"""What is asked of each kind, and how answers are taken: against servers that answer as the test says."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from harness.ops.health.asking import ask_all
from harness.ops.stackfile.loading import stack_of_text
from harness.record.clock import SystemClock
from harness.stack.ports import free_ports

Asked = list[tuple[str, str, Any, dict[str, str]]]


class Served(BaseHTTPRequestHandler):
    answers: dict[str, tuple[int, Any]]
    asked: Asked

    def do_POST(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        self.asked.append((self.command, self.path, body, {k.lower(): v for k, v in self.headers.items()}))
        status, answer = self.answers.get(self.path, (404, {"error": "no such path"}))
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def server() -> Iterator[tuple[str, dict[str, tuple[int, Any]], Asked]]:
    handler = type("Handler", (Served,), {"answers": {}, "asked": []})
    served = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=served.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{served.server_port}", handler.answers, handler.asked
    served.shutdown()
    served.server_close()
    thread.join()


def answers_of(service: str) -> list[tuple[str, str, str]]:
    """Part, status and detail of one service `a`."""
    stack = stack_of_text(f"services:\n  a: {service}", "S", {})
    return [(one.part, one.status, one.detail) for one in ask_all(stack, SystemClock())]


def test_a_service_by_its_health(server: tuple[str, dict[str, tuple[int, Any]], Asked]) -> None:
    url, served, asked = server
    served |= {"/health": (200, {}), "/up": (503, {"checks": {"db": "away"}}), "/embed": (200, {"embeddings": [[1]]})}
    assert answers_of(f"{{url: '{url}'}}") == [("a-1", "healthy", "HTTP 200")]
    assert answers_of(f"{{url: '{url}', health: '{url}/health'}}") == [("a-1", "healthy", "HTTP 200")]
    ((_, status, detail),) = answers_of(f"{{url: '{url}', health: {{path: /up}}}}")
    assert (status, detail) == ("unhealthy", 'HTTP 503 where 200 is healthy: {"checks": {"db": "away"}}')
    assert answers_of(f"{{url: '{url}', health: null}}") == [("a-1", "healthy", "HTTP 404")]
    assert answers_of(f"{{url: '{url}', health: {{path: /up, status: any}}}}")[0][1] == "unhealthy"
    body = "{path: /embed, body: {texts: [ping]}, contains: embeddings}"
    assert answers_of(f"{{url: '{url}', health: {body}}}") == [("a-1", "healthy", "HTTP 200")]
    assert asked[-1][:3] == ("POST", "/embed", {"texts": ["ping"]})
    assert answers_of(f"{{url: '{url}', health: {{contains: hello}}}}") == [("a-1", "unhealthy", "the answer does not contain 'hello'")]
    ((_, status, detail),) = answers_of(f"{{url: '{url}', health: {{slow: 1ms, timeout: 2s, path: /embed}}}}".replace("1ms", "0.001ms"))
    assert status == "degraded" and "are slow" in detail


def test_a_provider_by_one_token_of_every_model(
    server: tuple[str, dict[str, tuple[int, Any]], Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, served, asked = server
    monkeypatch.setenv("PROVIDER_KEY", "k1")
    served["/v1/models"] = 200, {"data": [{"id": "text-embedding-3"}, {"id": "chat-a"}]}
    served["/v1/chat/completions"] = 200, {"choices": [{"message": {"content": "p"}}]}
    served["/v1/embeddings"] = 200, {"data": [{"embedding": [0.1] * 3}]}
    assert answers_of(f"{{kind: llm, url: '{url}/v1', health: {{key_env: PROVIDER_KEY}}}}") == [
        ("a-1/chat-a", "healthy", "chat-a generates")
    ]
    assert asked[-1][1:3] == (
        "/v1/chat/completions",
        {"model": "chat-a", "messages": [{"role": "user", "content": "ping"}], "max_tokens": 1},
    )
    assert asked[-1][3]["authorization"] == "Bearer k1"
    assert answers_of(f"{{kind: embedding, url: '{url}'}}") == [
        ("a-1/text-embedding-3", "healthy", "text-embedding-3 embeds, 3 dimensions")
    ]
    parts = [(part, status) for part, status, _ in answers_of(f"{{kind: llm, url: '{url}', health: {{models: [x, y]}}}}")]
    assert parts == [("a-1/x", "healthy"), ("a-1/y", "healthy")]
    served["/v1/messages"] = 200, {"content": [{"type": "text", "text": "p"}]}
    anthropic = "{api: anthropic, models: [c], key_env: PROVIDER_KEY}"
    assert answers_of(f"{{kind: llm, url: '{url}', health: {anthropic}}}") == [("a-1/c", "healthy", "c generates")]
    assert (asked[-1][3]["x-api-key"], "anthropic-version" in asked[-1][3]) == ("k1", True)


@pytest.mark.parametrize(
    ("answer", "status", "detail"),
    [
        ((429, {"error": "slow down"}), "degraded", "rate limited"),
        ((401, {}), "unhealthy", "refuses our key"),
        ((500, {"e": 1}), "unhealthy", "HTTP 500"),
        ((200, {"choices": []}), "unhealthy", "generated nothing"),
        ((200, [1]), "unhealthy", "generated nothing"),
    ],
)
def test_a_provider_that_does_not_generate(
    server: tuple[str, dict[str, tuple[int, Any]], Asked], answer: tuple[int, Any], status: str, detail: str
) -> None:
    url, served, _ = server
    served["/v1/chat/completions"] = answer
    ((_, found, why),) = answers_of(f"{{kind: llm, url: '{url}', health: {{models: [m]}}}}")
    assert found == status and detail in why


def test_a_key_that_is_not_set_is_unknown_and_nobody_is_asked(server: tuple[str, dict[str, tuple[int, Any]], Asked]) -> None:
    url, _, asked = server
    ((_, status, why),) = answers_of(f"{{kind: llm, url: '{url}', health: {{models: [m], key_env: NOT_SET_ANYWHERE}}}}")
    assert (status, asked) == ("unknown", []) and "NOT_SET_ANYWHERE" in why


def test_authorities_that_cannot_be_read_are_unknown(tmp_path: Path) -> None:
    ((_, status, why),) = answers_of(f"{{kind: tls, url: 'https://127.0.0.1:1', health: {{trusted: '{tmp_path}/no.pem'}}}}")
    assert status == "unknown" and "no.pem: no certificates" in why


def test_a_vector_store_by_a_query(server: tuple[str, dict[str, tuple[int, Any]], Asked]) -> None:
    url, served, asked = server
    served["/"] = 200, {"title": "qdrant - vector search engine"}
    served["/collections"] = 200, {"result": {"collections": [{"name": "chunks"}]}}
    served["/collections/chunks"] = 200, {"result": {"config": {"params": {"vectors": {"size": 4, "distance": "Cosine"}}}}}
    served["/collections/chunks/points/query"] = 200, {"result": {"points": [{"id": 1}]}}
    assert answers_of(f"{{kind: vector, url: '{url}'}}") == [("a-1", "healthy", "Qdrant, chunks: a query finds a point")]
    assert asked[-1][2] == {"query": [1.0] * 4, "limit": 1}
    served["/collections/chunks/points/query"] = 500, {}
    assert answers_of(f"{{kind: vector, url: '{url}'}}")[0][1] == "unhealthy"
    served["/collections"] = 200, {"odd": 1}
    assert "is not understood" in answers_of(f"{{kind: vector, url: '{url}'}}")[0][2]


def test_who_is_not_there_or_silent_is_unhealthy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        (dead,) = free_ports(1)
        for service, detail in (
            (f"{{url: 'http://127.0.0.1:{dead}'}}", "refused"),
            (f"{{url: 'http://127.0.0.1:{port}', health: {{timeout: 200ms}}}}", "no answer within 0.2 s"),
            (f"{{kind: redis, url: 'redis://127.0.0.1:{dead}/0'}}", "refused"),
            (f"{{kind: redis, url: 'redis://127.0.0.1:{port}/0', health: {{timeout: 200ms}}}}", "imeout"),
            (f"{{kind: postgres, url: 'postgresql://u@127.0.0.1:{dead}/x'}}", "refused"),
        ):
            ((_, status, why),) = answers_of(service)
            assert status == "unhealthy" and detail in why, why
