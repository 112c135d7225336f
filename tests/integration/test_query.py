"""The query service before stand-ins for embedding, retrieval and generation."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.backends import wait_until
from tests.integration.services import Reply, ServiceProcess, StandIn, write_registry
from tests.integration.wire import Connection

pytestmark = [pytest.mark.e2e, pytest.mark.beside]

RESULTS = [
    {"doc_id": "a", "chunk_id": "a#0", "text": "A text.", "score": 0.9},
    {"doc_id": "b", "chunk_id": "b#1", "text": "B text.", "score": 0.5},
]
SOURCES = [{"doc_id": "a", "chunk_id": "a#0", "score": 0.9}, {"doc_id": "b", "chunk_id": "b#1", "score": 0.5}]
ENDING = {
    "citations": ["a"],
    "degraded": False,
    "degraded_reasons": [],
    "model": "m",
    "provider": "llm",
    "finish_reason": "stop",
    "attempts": 1,
    "usage": {"prompt_tokens": 7, "completion_tokens": 2},
}
NO_PROVIDER = {
    **ENDING,
    "citations": [],
    "model": None,
    "provider": None,
    "attempts": 0,
    "usage": {"prompt_tokens": 0, "completion_tokens": 0},
}
REFUSAL = "I cannot find this in the provided documents."
RETRIEVED = {"results": RESULTS, "cached": False, "degraded": False, "degraded_reasons": []}


def frame(payload: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(payload)}\n\n".encode()


DELTAS = [frame({"delta": "Two "}), frame({"delta": "words."})]
DONE = [frame({"done": True, **ENDING}), b"data: [DONE]\n\n"]


def generated(body: dict[str, Any]) -> Reply:
    if body["stream"]:
        return Reply(chunks=[*DELTAS, *DONE], headers={"content-type": "text/event-stream"})
    return Reply({"answer": "Two words.", **ENDING})


@dataclass(frozen=True)
class Stack:
    """The query service and what stands behind it."""

    query: ServiceProcess
    embedding: StandIn
    retrieval: StandIn
    retrieval_2: StandIn
    generation: StandIn

    def ask(self, **body: Any) -> httpx.Response:
        return self.query.http.post("/ask", json={"question": "What is a?", **body}, headers={"x-request-id": "r-1"})

    def frames(self, **body: Any) -> list[Any]:
        """The frames of a streamed answer, decoded; `[DONE]` as it is."""
        answer = self.ask(stream=True, **body)
        assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, "text/event-stream")
        parts = [part.removeprefix("data: ") for part in answer.text.split("\n\n") if part]
        return [part if part == "[DONE]" else json.loads(part) for part in parts]


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder: Path = tmp_path_factory.mktemp("query")
    embedding, retrieval, retrieval_2, generation = (StandIn({}) for _ in range(4))
    urls = {"embedding": [embedding.url], "retrieval": [retrieval.url, retrieval_2.url], "generation": [generation.url]}
    registry = write_registry(folder / "registry.json", urls)
    query = ServiceProcess("query", {"REGISTRY_FILE": str(registry), "VERSION": "2.3.4"}, folder / "query.log")
    try:
        query.start()
        yield Stack(query, embedding, retrieval, retrieval_2, generation)
    finally:
        query.close()
        for stand_in in (embedding, retrieval, retrieval_2, generation):
            stand_in.close()


@pytest.fixture
def stack(processes: Stack) -> Stack:
    """With everything in order behind it, nothing seen yet."""
    processes.embedding.answers["/embed"] = lambda body: Reply({"embeddings": [[0.5] * 384 for _ in body["texts"]], "model": "e"})
    for retrieval in (processes.retrieval, processes.retrieval_2):
        retrieval.answers["/retrieve"] = lambda _body: Reply(RETRIEVED)
    processes.generation.answers["/generate"] = generated
    for stand_in in (processes.embedding, processes.retrieval, processes.retrieval_2, processes.generation):
        stand_in.seen.clear()
    return processes


def test_a_whole_answer(stack: Stack) -> None:
    assert stack.ask(top_k=2).json() == {"request_id": "r-1", "answer": "Two words.", "sources": SOURCES, "version": "2.3.4", **ENDING}
    assert stack.embedding.seen == [{"texts": ["What is a?"]}]
    assert [*stack.retrieval.seen, *stack.retrieval_2.seen] == [{"text": "What is a?", "embedding": [0.5] * 384, "top_k": 2}]
    contexts = [{"doc_id": "a", "text": "A text."}, {"doc_id": "b", "text": "B text."}]
    assert stack.generation.seen == [{"question": "What is a?", "contexts": contexts, "stream": False}]


def test_a_streamed_answer(stack: Stack) -> None:
    assert stack.frames() == [
        {"sources": SOURCES, "request_id": "r-1"},
        {"delta": "Two "},
        {"delta": "words."},
        {"done": True, **ENDING},
        "[DONE]",
    ]


def test_each_frame_is_passed_on_before_the_next_one_is_there(stack: Stack) -> None:
    seen_by_client = threading.Event()

    def paced() -> Iterator[bytes]:
        yield DELTAS[0]
        assert seen_by_client.wait(60), "the first frame was held back"
        yield from [DELTAS[1], *DONE]

    stack.generation.answers["/generate"] = lambda _body: Reply(chunks=paced())
    with stack.query.http.stream("POST", "/ask", json={"question": "q", "stream": True}) as answer:
        received = ""
        for text in answer.iter_text():
            received += text
            if "Two " in received:
                seen_by_client.set()
    assert received.endswith("data: [DONE]\n\n")


def test_without_embedding_it_searches_by_words_and_says_so(stack: Stack) -> None:
    lexical = {**RETRIEVED, "degraded": True, "degraded_reasons": ["lexical_retrieval"]}
    for retrieval in (stack.retrieval, stack.retrieval_2):
        retrieval.answers["/retrieve"] = lambda body: Reply(lexical if body["embedding"] is None else RETRIEVED)
    stack.embedding.answers["/embed"] = lambda _body: Reply({"error": {}}, 502, headers={"x-should-retry": "false"})
    degraded = {"degraded": True, "degraded_reasons": ["lexical_retrieval"]}
    assert stack.ask().json() == {"request_id": "r-1", "answer": "Two words.", "sources": SOURCES, "version": "2.3.4", **ENDING, **degraded}
    assert stack.frames()[-2] == {"done": True, **ENDING, **degraded}


def test_reasons_of_all_parts_are_merged(stack: Stack) -> None:
    for retrieval in (stack.retrieval, stack.retrieval_2):
        retrieval.answers["/retrieve"] = lambda _body: Reply({**RETRIEVED, "degraded": True, "degraded_reasons": ["stale_cache"]})
    ending = {**ENDING, "provider": "llm_fallback", "degraded": True, "degraded_reasons": ["fallback_provider"]}
    stack.generation.answers["/generate"] = lambda body: (
        Reply(chunks=[*DELTAS, frame({"done": True, **ending}), DONE[1]]) if body["stream"] else Reply({"answer": "x", **ending})
    )
    merged = ["stale_cache", "fallback_provider"]
    assert (stack.ask().json()["degraded"], stack.ask().json()["degraded_reasons"]) == (True, merged)
    assert stack.frames()[-2] == {"done": True, **ending, "degraded_reasons": merged}


def test_without_context_it_refuses_and_asks_no_provider(stack: Stack) -> None:
    for retrieval in (stack.retrieval, stack.retrieval_2):
        retrieval.answers["/retrieve"] = lambda _body: Reply({**RETRIEVED, "results": []})
    ending = {**NO_PROVIDER, "degraded": True, "degraded_reasons": ["no_context"]}
    assert stack.ask().json() == {"request_id": "r-1", "answer": REFUSAL, "sources": [], "version": "2.3.4", **ending}
    assert stack.frames() == [{"sources": [], "request_id": "r-1"}, {"delta": REFUSAL}, {"done": True, **ending}, "[DONE]"]
    assert stack.generation.seen == []


def test_a_failing_replica_of_retrieval_is_made_up_for_by_the_other(stack: Stack) -> None:
    stack.retrieval.answers["/retrieve"] = lambda _body: Reply({"error": {"code": "postgres_timeout", "message": "m"}}, 503)
    assert [stack.ask().status_code for _ in range(4)] == [200] * 4
    assert stack.retrieval.seen
    assert len(stack.retrieval_2.seen) == 4


@pytest.mark.parametrize("stream", [False, True])
def test_a_failure_before_the_first_byte_has_a_status(stack: Stack, stream: bool) -> None:
    refusal = Reply({"error": {"code": "rate_limited", "message": "later"}}, 429, headers={"retry-after": "7"})
    stack.generation.answers["/generate"] = lambda _body: refusal
    answer = stack.ask(stream=stream)
    assert (answer.status_code, answer.headers["retry-after"], answer.headers["x-should-retry"]) == (429, "7", "false")
    assert answer.json() == {"error": {"code": "rate_limited", "message": "generation: later", "request_id": "r-1"}}


@pytest.mark.parametrize("cut", [False, True])
def test_a_stream_that_breaks_off_ends_with_an_error_frame(stack: Stack, cut: bool) -> None:
    stack.generation.answers["/generate"] = lambda _body: Reply(chunks=DELTAS, cut=cut)
    sources, *deltas, last = stack.frames()
    assert (sources["sources"], deltas) == (SOURCES, [{"delta": "Two "}, {"delta": "words."}])
    assert (last.keys(), last["error"]["code"]) == ({"error"}, "generation_connection_lost" if cut else "generation_error")


def test_an_error_frame_of_generation_is_the_last_one(stack: Stack) -> None:
    failure = {"error": {"message": "provider broke off", "code": "llm_error"}}
    stack.generation.answers["/generate"] = lambda _body: Reply(chunks=[DELTAS[0], frame(failure)])
    assert stack.frames() == [{"sources": SOURCES, "request_id": "r-1"}, {"delta": "Two "}, failure]


def test_a_client_that_hangs_up_ends_the_generation(stack: Stack) -> None:
    hung_up = threading.Event()

    def endless() -> Iterator[bytes]:
        try:
            for _ in range(20_000):
                yield DELTAS[0]
                time.sleep(0.005)  # the pace of a provider
        except GeneratorExit:
            hung_up.set()

    stack.generation.answers["/generate"] = lambda _body: Reply(chunks=endless())
    with stack.query.http.stream("POST", "/ask", json={"question": "q", "stream": True}) as answer:
        assert next(answer.iter_bytes()).startswith(b"data: ")
    assert hung_up.wait(60), "generation went on for nobody"
    wait_until(lambda: stack.query.metric("rag_client_requests_in_progress", callee="generation") == 0, "no attempt in flight")


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_before_the_answer_ends_the_work(stack: Stack, stream: bool) -> None:
    asked, released = threading.Event(), threading.Event()

    def held(body: dict[str, Any]) -> Reply:
        asked.set()
        assert released.wait(100)
        return generated(body)

    stack.generation.answers["/generate"] = held
    gone = stack.query.metric("rag_requests_total", route="/ask", status="499")
    try:
        with Connection(stack.query.port) as leaving:
            leaving.start("/ask", {"question": "q", "stream": stream})
            assert asked.wait(60)
        wait_until(lambda: stack.query.metric("rag_client_requests_in_progress", callee="generation") == 0, "generation is let go")
        wait_until(lambda: stack.query.metric("rag_requests_total", route="/ask", status="499") == gone + 1, "the request has ended")
    finally:
        released.set()


def test_follow_ups_are_searched_and_answered_with_the_question_before(stack: Stack) -> None:
    stack.ask(session_id="s", question="What is a?")
    stack.ask(session_id="s", question="And what does it do?")
    assert stack.embedding.seen[-1] == {"texts": ["What is a? And what does it do?"]}
    assert stack.generation.seen[-1]["question"] == "What is a? And what does it do?"


def test_search_gives_sources_with_text(stack: Stack) -> None:
    answer = stack.query.http.post("/search", json={"query": "a", "top_k": 2})
    assert answer.json() == {"sources": RESULTS, "degraded": False, "degraded_reasons": []}
    assert stack.query.http.post("/search", json={"query": ""}).status_code == 422


def test_not_ready_until_it_knows_its_callees(tmp_path: Path) -> None:
    registry = write_registry(tmp_path / "registry.json", {"embedding": ["http://127.0.0.1:1"]})
    query = ServiceProcess("query", {"REGISTRY_FILE": str(registry)}, tmp_path / "query.log")
    try:
        query.start("/health")
        assert query.http.get("/ready").json() == {"ready": False, "checks": {"registry": "not in the registry: retrieval, generation"}}
        assert query.stop() == 0
    finally:
        query.close()
