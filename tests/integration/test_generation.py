"""Embedding and generation over two real mock providers, and over providers that break in ways of the test's choosing."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mocks.llm.hashing import embed
from mocks.llm.words import tokens
from mocks.rag.generation.prompt import Asked, messages
from tests.integration.backends import free_port, wait_until
from tests.integration.llm_process import ANSWER, LlmProcess
from tests.integration.services import Reply, ServiceProcess, StandIn, write_registry
from tests.integration.wire import Connection

pytestmark = [pytest.mark.e2e, pytest.mark.beside]

ASKED = {
    "question": "What is the release number of json.dumps?",
    "contexts": [
        {"doc_id": "json.dumps", "text": "Serialize obj.\nThe release number of json.dumps is ZK-7F3A91."},
        {"doc_id": "json.loads", "text": "Deserialize s."},
    ],
}
PROMPT_TOKENS = len(tokens("\n\n".join(message["content"] for message in messages(Asked.from_body(ASKED)))))
KEY = "sk-of-the-stack"
CHAT_ROUTE = "/v1/chat/completions"


class Stack:
    """The service under test, its registry, and its providers."""

    def __init__(self, folder: Path, service: str, providers: dict[str, str], **settings: Any) -> None:
        self._registry = folder / "registry.json"
        self._revision = 0
        self.providers = providers
        self.set(**settings)
        environment = {"REGISTRY_FILE": str(self._registry), "LLM_API_KEY": KEY}
        self.service = ServiceProcess(service, environment, folder / f"{service}.log")
        self.service.start()

    def set(self, **settings: Any) -> None:
        self._revision += 1
        write_registry(self._registry, {name: [url] for name, url in self.providers.items()}, settings, self._revision)

    def ask(self) -> dict[str, Any]:
        response = self.service.http.post("/generate", json={**ASKED, "stream": False})
        assert response.status_code == 200, response.text
        body: dict[str, Any] = response.json()
        return body

    def ask_stream(self) -> list[dict[str, Any]]:
        """The frames; the end mark must be there exactly where the answer is done."""
        response = self.service.http.post("/generate", json={**ASKED, "stream": True})
        assert response.status_code == 200, response.text
        assert response.headers["content-type"].startswith("text/event-stream")
        frames = [frame.removeprefix("data: ") for frame in response.text.split("\n\n") if frame]
        ended = frames[-1] == "[DONE]"
        found = [json.loads(frame) for frame in frames[: len(frames) - ended]]
        assert ended == found[-1].get("done", False)
        return found

    def requests(self, provider: str, outcome: str) -> float:
        return self.service.metric("rag_llm_requests_total", provider=provider, outcome=outcome)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("generation")


@pytest.fixture(scope="module")
def providers(folder: Path) -> Iterator[dict[str, LlmProcess]]:
    started: dict[str, LlmProcess] = {}
    try:
        for name in ("llm", "llm_fallback"):
            started[name] = LlmProcess(folder, name, {"api_keys": [KEY]})
        yield started
    finally:
        for process in started.values():
            process.close()


@pytest.fixture
def llms(providers: dict[str, LlmProcess]) -> Iterator[dict[str, LlmProcess]]:
    """Both providers, in order; a test may break them."""
    yield providers
    for process in providers.values():
        process.repair()


def start(folder: Path, service: str, llms: dict[str, LlmProcess], **settings: Any) -> Stack:
    return Stack(folder, service, {name: process.url for name, process in llms.items()}, **settings)


@pytest.fixture(scope="module")
def shared_generation(folder: Path, providers: dict[str, LlmProcess]) -> Iterator[Stack]:
    stack = start(folder, "generation", providers)
    yield stack
    stack.service.close()


@pytest.fixture
def generation(shared_generation: Stack, llms: dict[str, LlmProcess]) -> Stack:
    """For tests that leave its circuits closed."""
    assert shared_generation.ask()["provider"] == "llm"
    return shared_generation


@pytest.fixture
def fresh_generation(tmp_path: Path, llms: dict[str, LlmProcess]) -> Iterator[Stack]:
    stack = start(tmp_path, "generation", llms)
    yield stack
    stack.service.close()


@pytest.fixture
def embedding(tmp_path: Path, llms: dict[str, LlmProcess]) -> Iterator[Stack]:
    stack = start(tmp_path, "embedding", llms)
    yield stack
    stack.service.close()


def by(provider: str, attempts: int = 1) -> dict[str, Any]:
    """What an answer says about itself when `provider` served it."""
    degraded = provider != "llm"
    return {
        "citations": ["json.dumps"],
        "model": "rag-chat",
        "provider": provider,
        "degraded": degraded,
        "degraded_reasons": ["fallback_provider"] if degraded else [],
        "finish_reason": "stop",
        "attempts": attempts,
        "usage": {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": 21},
    }


def test_answers_whole_and_streamed(fresh_generation: Stack) -> None:
    generation = fresh_generation
    assert generation.ask() == {"answer": ANSWER, **by("llm")}
    *deltas, done = generation.ask_stream()
    assert "".join(frame.pop("delta") for frame in deltas) == ANSWER
    assert not any(deltas)
    assert done == {"done": True, **by("llm")}
    assert generation.requests("llm", "ok") == 2
    service = generation.service
    assert service.metric("rag_llm_tokens_total", provider="llm", direction="completion") == 42
    assert service.metric("rag_llm_first_token_seconds_count", provider="llm", model="rag-chat") == 1
    assert service.metric("rag_degraded_total") == 0


def test_the_setting_decides_who_is_first_and_the_fallback_is_always_called_degraded(generation: Stack) -> None:
    generation.set(llm_provider="llm_fallback")
    wait_until(lambda: generation.ask()["provider"] == "llm_fallback", "the switch")
    assert generation.ask() == {"answer": ANSWER, **by("llm_fallback")}
    assert generation.ask_stream()[-1] == {"done": True, **by("llm_fallback")}
    assert generation.service.metric("rag_degraded_total", reason="fallback_provider") >= 2
    generation.set(llm_provider="llm")
    wait_until(lambda: generation.ask()["provider"] == "llm", "the switch back")


def test_a_killed_provider_is_retried_then_left_and_its_circuit_opens(fresh_generation: Stack, llms: dict[str, LlmProcess]) -> None:
    generation = fresh_generation
    llms["llm"].kill()
    assert generation.ask() == {"answer": ANSWER, **by("llm_fallback", attempts=3)}
    assert generation.ask_stream()[-1] == {"done": True, **by("llm_fallback", attempts=3)}
    assert generation.service.metric("rag_circuit_state", callee="llm") == 0
    generation.ask()
    assert generation.service.metric("rag_circuit_state", callee="llm") == 2
    assert generation.ask() == {"answer": ANSWER, **by("llm_fallback", attempts=1)}
    assert generation.requests("llm", "circuit_open") >= 1
    assert generation.service.metric("rag_client_requests_total", callee="llm", outcome="circuit_open") >= 1
    assert generation.service.metric("rag_client_retries_total", callee="llm") >= 2


def test_a_short_pause_is_kept_and_a_long_one_goes_to_the_fallback(generation: Stack, llms: dict[str, LlmProcess]) -> None:
    llms["llm"].put_fault("limit", type="rate_limited", requests_per_s=1.05, burst=1)
    refused = generation.requests("llm", "rate_limited")
    assert generation.ask() == {"answer": ANSWER, **by("llm")}
    assert generation.ask() == {"answer": ANSWER, **by("llm", attempts=2)}
    llms["llm"].put_fault("limit", type="rate_limited", requests_per_s=0.1, burst=1)
    assert [generation.ask()["provider"] for _ in range(2)] == ["llm", "llm_fallback"]
    assert generation.ask() == {"answer": ANSWER, **by("llm_fallback", attempts=2)}
    assert generation.requests("llm", "rate_limited") == refused + 3


def test_refusals_for_the_rate_open_the_circuit(fresh_generation: Stack, llms: dict[str, LlmProcess]) -> None:
    generation = fresh_generation
    llms["llm"].put_fault("limit", type="rate_limited", requests_per_s=0.01, burst=1)
    assert [generation.ask()["provider"] for _ in range(7)] == ["llm", *["llm_fallback"] * 6]
    assert generation.requests("llm", "rate_limited") == 5
    assert generation.service.metric("rag_circuit_state", callee="llm") == 2


def test_where_every_provider_refuses_the_client_is_told_for_how_long(generation: Stack, llms: dict[str, LlmProcess]) -> None:
    for process in llms.values():
        process.put_fault("limit", type="rate_limited", requests_per_s=0.05, burst=1)
    assert [generation.ask()["provider"] for _ in range(2)] == ["llm", "llm_fallback"]
    refused = generation.service.http.post("/generate", json=ASKED)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "llm_fallback_rate_limited")
    assert refused.headers["x-should-retry"] == "false"
    assert 10 <= int(refused.headers["retry-after"]) <= 20


def test_a_slow_first_token_within_the_limit_is_waited_for(generation: Stack, llms: dict[str, LlmProcess]) -> None:
    llms["llm"].put_fault("slow", type="slow_first_token", ttft_s=1.0)
    started_s = time.monotonic()
    assert generation.ask_stream()[-1] == {"done": True, **by("llm")}
    assert time.monotonic() - started_s >= 0.99


def test_no_provider_left_is_an_honest_error(fresh_generation: Stack, llms: dict[str, LlmProcess]) -> None:
    generation = fresh_generation
    for process in llms.values():
        process.kill()
    for stream in (False, True):
        response = generation.service.http.post("/generate", json={**ASKED, "stream": stream})
        assert (response.status_code, response.json()["error"]["code"]) == (502, "llm_fallback_connect_error")
        assert response.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_stops_the_provider(generation: Stack, llms: dict[str, LlmProcess], stream: bool) -> None:
    llms["llm"].put_fault("slow", type="slow_first_token", ttft_s=60)

    running = 'vllm:num_requests_running{engine="0",model_name="rag-chat"}'
    with Connection(generation.service.port) as leaving:
        leaving.start("/generate", {**ASKED, "stream": stream})
        wait_until(lambda: f"{running} 1.0" in llms["llm"].metrics(), "the provider to be asked")
    wait_until(lambda: f"{running} 0.0" in llms["llm"].metrics(), "the provider to be left alone")
    assert generation.service.metric("rag_circuit_state", callee="llm") == 0


def test_bad_bodies_are_refused(generation: Stack) -> None:
    response = generation.service.http.post("/generate", json={"question": "x"})
    assert (response.status_code, response.json()["error"]["code"]) == (422, "invalid_request")


def event(content: str | None = None, finish_reason: str | None = None) -> bytes:
    delta = {} if content is None else {"content": content}
    body = {"model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}
    return f"data: {json.dumps(body)}\n\n".encode()


WHOLE = {"model": "m", "choices": [{"message": {"content": "x"}, "finish_reason": "stop"}]}


@pytest.fixture(scope="module")
def stand_in() -> Iterator[StandIn]:
    stand_in = StandIn({})
    yield stand_in
    stand_in.close()


@pytest.fixture(scope="module")
def shared_broken(tmp_path_factory: pytest.TempPathFactory, providers: dict[str, LlmProcess], stand_in: StandIn) -> Iterator[Stack]:
    urls = {"llm": stand_in.url, "llm_fallback": providers["llm_fallback"].url}
    stack = Stack(tmp_path_factory.mktemp("broken"), "generation", urls)
    yield stack
    stack.service.close()


@pytest.fixture
def broken(shared_broken: Stack, stand_in: StandIn) -> tuple[Stack, StandIn]:
    """Generation with a preferred provider whose answers the test decides, its circuit closed, and a sound fallback."""
    stand_in.answers[CHAT_ROUTE] = lambda _body: Reply(body=WHOLE)
    assert shared_broken.ask()["provider"] == "llm"
    stand_in.seen.clear()
    return shared_broken, stand_in


@pytest.mark.parametrize(
    ("chunks", "cut"),
    [
        ([event("Half of")], False),
        ([event("Half of")], True),
        ([event("Half of"), b"data: {"], False),
        ([event("Half of"), b"data: {nonsense}\n\n"], False),
        ([event("Half of"), b'data: {"error": {"message": "overloaded"}}\n\n'], False),
    ],
)
def test_a_stream_that_breaks_after_its_first_token_ends_in_an_error_frame(
    broken: tuple[Stack, StandIn], chunks: Iterable[bytes], cut: bool
) -> None:
    stack, stand_in = broken
    stand_in.answers[CHAT_ROUTE] = lambda _body: Reply(chunks=chunks, cut=cut)
    ended = "connection_lost" if cut else "error"
    errors = stack.requests("llm", ended)
    *deltas, last = stack.ask_stream()
    assert deltas == [{"delta": "Half of"}]
    assert last["error"]["code"] == f"llm_{ended}"
    assert stack.requests("llm", ended) == errors + 1


@pytest.mark.parametrize(
    "reply",
    [
        Reply(chunks=[]),
        Reply(chunks=[event("")]),
        Reply(chunks=[], cut=True),
        Reply(chunks=[b'data: {"error": {"message": "overloaded"}}\n\n']),
        Reply(status=500, body={"error": {"message": "The server had an error"}}),
        Reply(status=503, body={}, headers={"retry-after": "0"}),
    ],
)
def test_a_stream_that_breaks_before_its_first_token_is_answered_by_the_fallback(broken: tuple[Stack, StandIn], reply: Reply) -> None:
    stack, stand_in = broken
    stand_in.answers[CHAT_ROUTE] = lambda _body: reply
    assert stack.ask_stream()[-1] == {"done": True, **by("llm_fallback", attempts=3)}
    assert len(stand_in.seen) == 2
    assert stand_in.seen[0]["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(
    ("reply", "hits"),
    [
        (Reply(status=503, body={}, headers={"retry-after": "30"}), 1),
        (Reply(status=429, body={}), 1),
        (Reply(status=401, body={}), 1),
        (Reply(status=200, body={"choices": []}), 2),
    ],
)
def test_answers_that_are_none_go_to_the_fallback(broken: tuple[Stack, StandIn], reply: Reply, hits: int) -> None:
    stack, stand_in = broken
    stand_in.answers[CHAT_ROUTE] = lambda _body: reply
    assert stack.ask() == {"answer": ANSWER, **by("llm_fallback", attempts=hits + 1)}
    assert len(stand_in.seen) == hits


def test_a_request_that_no_provider_would_take_is_not_passed_around(broken: tuple[Stack, StandIn]) -> None:
    stack, stand_in = broken
    stand_in.answers[CHAT_ROUTE] = lambda _body: Reply(status=400, body={"error": {"code": "context_length_exceeded"}})
    answered = stack.requests("llm_fallback", "ok")
    for _ in range(6):
        response = stack.service.http.post("/generate", json=ASKED)
        assert (response.status_code, response.json()["error"]["code"]) == (502, "llm_http_4xx")
    assert stack.requests("llm_fallback", "ok") == answered
    assert stack.service.metric("rag_circuit_state", callee="llm") == 0


def test_the_finish_reason_and_the_model_are_passed_through(broken: tuple[Stack, StandIn]) -> None:
    stack, stand_in = broken
    stand_in.answers[CHAT_ROUTE] = lambda _body: Reply(chunks=[event("Cut"), event(None, "length"), b"data: [DONE]\n\n"])
    done = stack.ask_stream()[-1]
    assert (done["finish_reason"], done["model"], done["provider"], done["citations"]) == ("length", "m", "llm", [])


def vectors(stack: Stack, *texts: str) -> list[list[float]]:
    response = stack.service.http.post("/embed", json={"texts": texts})
    assert response.status_code == 200, response.text
    body = response.json()
    assert body["model"] == "rag-embedding"
    found: list[list[float]] = body["embeddings"]
    return found


def assert_right(found: list[list[float]], *texts: str) -> None:
    np.testing.assert_array_equal(np.array(found, dtype=np.float32), np.stack([embed(text, 384) for text in texts]))


def test_vectors_come_in_order_and_once_from_the_provider(embedding: Stack, llms: dict[str, LlmProcess]) -> None:
    seen = len(llms["llm"].journal())
    assert_right(vectors(embedding, "one", "two", "one"), "one", "two", "one")
    assert_right(vectors(embedding, "two", "three"), "two", "three")
    assert [row["prompt_tokens"] for row in llms["llm"].journal()[seen:]] == [2, 1]
    metric = embedding.service.metric
    assert metric("rag_cache_requests_total", cache="embedding", tier="memory", result="hit") == 1
    assert metric("rag_cache_requests_total", cache="embedding", tier="memory", result="miss") == 3
    embedding.set(cache_epoch=1)
    wait_until(lambda: vectors(embedding, "two") and len(llms["llm"].journal()) == seen + 3, "the cache to be emptied")


@pytest.mark.parametrize("break_it", ["kill", "pause"])
def test_vectors_come_from_the_fallback_while_the_provider_is_gone(embedding: Stack, llms: dict[str, LlmProcess], break_it: str) -> None:
    getattr(llms["llm"], break_it)()
    started_s = time.monotonic()
    assert_right(vectors(embedding, "one"), "one")
    assert time.monotonic() - started_s < 20  # the caller's patience is 2 s on a machine that does nothing else
    assert embedding.service.metric("rag_client_requests_total", callee="llm_fallback", outcome="ok") == 1


def test_no_provider_and_bad_texts(embedding: Stack, llms: dict[str, LlmProcess]) -> None:
    assert embedding.service.http.post("/embed", json={"texts": []}).status_code == 422
    for process in llms.values():
        process.kill()
    response = embedding.service.http.post("/embed", json={"texts": ["one"]})
    assert (response.status_code, response.json()["error"]["code"]) == (502, "llm_fallback_connect_error")


def test_ready_wants_a_provider_in_the_registry(tmp_path: Path) -> None:
    registry = write_registry(tmp_path / "registry.json", {})
    service = ServiceProcess("generation", {"REGISTRY_FILE": str(registry)}, tmp_path / "generation.log")
    try:
        service.start("/health")
        answer = service.http.get("/ready")
        assert (answer.status_code, answer.json()["ready"]) == (503, False)
        assert service.http.post("/generate", json=ASKED).json()["error"]["code"] == "llm_connect_error"
        write_registry(registry, {"llm": [f"http://127.0.0.1:{free_port()}"]}, revision=2)
        wait_until(lambda: service.http.get("/ready").status_code == 200, "ready")
        assert service.stop() == 0
    finally:
        service.close()
