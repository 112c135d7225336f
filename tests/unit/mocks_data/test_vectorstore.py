"""The client side of a vector store: which hits are used, what errors are called, and a collection that comes back under another id."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from mocks.rag.common.config import ConfigError
from mocks.rag.common.context import enter, leave, new_context
from mocks.rag.common.errors import UpstreamError
from mocks.rag.common.registry import Registry
from mocks.rag.vectorstore.base import Result
from mocks.rag.vectorstore.choice import chosen, open_points
from mocks.rag.vectorstore.hits import accepted
from mocks.rag.vectorstore.points import CollectionMissingError, Hit, Point, PointStore, StoreRefusedError
from tests.unit.mocks_common.stub_server import Exchange, Handler, StubServer, hang_up, write_registry

COLLECTIONS = "/api/v2/tenants/default_tenant/databases/default_database/collections"
VECTOR = [0.5] * 384


def payload(chunk: str = "a#0", revision: Any = 1, **changes: Any) -> dict[str, Any]:
    return {"doc_id": chunk.partition("#")[0], "chunk_id": chunk, "text": f"text of {chunk}", "revision": revision, **changes}


def result(chunk: str, score: float) -> Result:
    return {"doc_id": chunk.partition("#")[0], "chunk_id": chunk, "text": f"text of {chunk}", "score": score}


def count(metric: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(metric, labels) or 0.0


@contextmanager
def counted(metric: str, by: float, **labels: str) -> Iterator[None]:
    before = count(metric, **labels)
    yield
    assert count(metric, **labels) - before == by, (metric, labels)


@pytest.mark.parametrize("score", [float("nan"), float("inf"), float("-inf"), 1.1, 10**400, None, "0.9", True])
def test_a_score_that_is_none_is_dropped_and_counted(score: Any) -> None:
    with counted("rag_vector_rejected_total", 1, reason="score"):
        assert accepted([Hit(payload("a#0"), score), Hit(payload("b#0"), 0.25)]) == [result("b#0", 0.25)]


@pytest.mark.parametrize(
    "broken",
    [
        None,
        [],
        "text",
        {},
        payload(text=None),
        payload(text=""),
        payload(doc_id=7),
        payload(chunk_id=None),
        payload(revision="1"),
        payload(revision=True),
    ],
)
def test_a_payload_that_lacks_something_is_dropped_and_counted(broken: Any) -> None:
    with counted("rag_vector_rejected_total", 1, reason="payload"):
        assert accepted([Hit(broken, 0.9), Hit(payload("b#0"), 1)]) == [result("b#0", 1.0)]


def test_a_text_that_no_upload_could_have_is_dropped_and_counted() -> None:
    with counted("rag_vector_rejected_total", 1, reason="oversize"):
        assert accepted([Hit(payload("a#0", text="x" * 201_001), 0.9), Hit(payload("b#0"), 0.5)]) == [result("b#0", 0.5)]


def test_of_two_revisions_the_newer_is_served_and_of_duplicates_the_better() -> None:
    hits = [
        Hit(payload("a#0", 1), 0.9),
        Hit(payload("a#1", 2), 0.5),
        Hit(payload("b#0"), 0.6),
        Hit(payload("a#1", 2), 0.7),
    ]
    with counted("rag_vector_rejected_total", 1, reason="superseded"), counted("rag_vector_rejected_total", 1, reason="duplicate"):
        assert accepted(hits) == [result("a#1", 0.7), result("b#0", 0.6)]


FIELDS = st.sampled_from(["doc_id", "chunk_id", "text", "revision"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=6,
)


@given(st.lists(st.builds(Hit, JSON, JSON), max_size=6))
def test_whatever_a_store_answers_what_is_left_can_be_sent(hits: list[Hit]) -> None:
    found = accepted(hits)
    json.dumps(found, allow_nan=False)
    assert [one["score"] for one in found] == sorted((one["score"] for one in found), reverse=True)
    assert all(one["text"] and one["doc_id"] and one["chunk_id"] for one in found)


def test_a_point_is_one_chunk_of_one_revision() -> None:
    ids = [Point("a", chunk, revision, "t", VECTOR).id for chunk, revision in (("a#0", 1), ("a#0", 1), ("a#0", 2), ("a#1", 1))]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


@pytest.mark.parametrize(("wish", "store"), [({}, "pgvector"), ({"VECTOR_STORE": ""}, "pgvector"), ({"VECTOR_STORE": "chroma"}, "chroma")])
def test_the_store_is_chosen_by_the_environment(wish: dict[str, str], store: str) -> None:
    assert chosen(wish) == store


def test_a_store_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ConfigError, match="VECTOR_STORE must be one of pgvector, qdrant, chroma, not 'faiss'"):
        chosen({"VECTOR_STORE": "faiss"})


Name = Any  # of a store: `qdrant` or `chroma`


def asking(folder: Path, name: Name, handler: Handler, ask: Callable[[PointStore], Any]) -> tuple[Any, list[Exchange]]:
    """What `ask` returns, or the error that it raises, and what the server saw."""

    async def scenario() -> tuple[Any, list[Exchange]]:
        async with StubServer(handler) as server:
            write_registry(folder / "registry.json", {"vector": [server.url]})
            points = open_points(name, Registry(folder / "registry.json"), timeout_s=1.0)
            token = enter(new_context("the-request", None))
            try:
                return await ask(points), server.requests
            except UpstreamError as error:
                return error, server.requests
            finally:
                leave(token)
                await points.close()

    return asyncio.run(scenario())


def always(status: int, body: Any, headers: dict[str, str] | None = None) -> Handler:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def handler(exchange: Exchange) -> None:
        await exchange.answer(status, raw, headers)

    return handler


DIMENSION = {"status": {"error": "Wrong input: Vector dimension error: expected dim: 768, got 384"}, "time": 0.0002}
MISSING = {"status": {"error": "Not found: Collection `chunks` doesn't exist!"}, "time": 0.0001}
INTERNAL = {"status": {"error": "Service internal error: disk"}, "time": 0.0001}


@pytest.mark.parametrize(
    ("handler", "kind", "outcome", "words", "attempts"),
    [
        (always(400, DIMENSION), StoreRefusedError, "http_4xx", "status 400: Wrong input: Vector dimension error: expected", 1),
        (always(404, MISSING), CollectionMissingError, "http_4xx", "status 404: Not found: Collection `chunks` doesn't exist!", 1),
        (always(500, INTERNAL), UpstreamError, "http_5xx", "status 500: Service internal error: disk", 1),
        (always(503, b"<html>busy</html>"), UpstreamError, "http_5xx", "status 503: <html>busy</html>", 2),
        (always(429, INTERNAL, {"retry-after": "0"}), UpstreamError, "rate_limited", "status 429: Service internal error: disk", 2),
        (always(429, INTERNAL, {"retry-after": "60"}), UpstreamError, "rate_limited", "status 429: Service internal error: disk", 1),
        (always(200, b"{"), UpstreamError, "error", "unusable answer: JSONDecodeError", 1),
        (always(200, {"status": "ok"}), UpstreamError, "error", "unusable answer: KeyError: 'result'", 1),
        (always(200, {"result": None}), UpstreamError, "error", "unusable answer: TypeError", 1),
        (always(200, {"result": {"points": [1]}}), UpstreamError, "error", "unusable answer: AttributeError", 1),
        (hang_up, UpstreamError, "connection_lost", "", 2),
    ],
)  # fmt: skip
def test_what_a_failure_is_called(tmp_path: Path, handler: Handler, kind: type, outcome: str, words: str, attempts: int) -> None:
    error, seen = asking(tmp_path, "qdrant", handler, lambda points: points.nearest(VECTOR, 5))
    assert (type(error), error.callee, error.outcome, len(seen)) == (kind, "vector", outcome, attempts)
    assert error.message.startswith(f"vector: {words}")


def test_a_search_carries_the_trace_and_is_counted(tmp_path: Path) -> None:
    found = always(200, {"result": {"points": [{"id": "1", "score": 0.5, "payload": {"text": "t"}}]}, "status": "ok", "time": 0.0})
    with counted("rag_client_requests_total", 1, callee="vector", outcome="ok"):
        hits, (seen,) = asking(tmp_path, "qdrant", found, lambda points: points.nearest(VECTOR, 5))
    assert hits == [Hit({"text": "t"}, 0.5)]
    assert (seen.method, seen.path) == ("POST", "/collections/chunks/points/query")
    assert json.loads(seen.body) == {"query": VECTOR, "limit": 5, "with_payload": True}
    assert (seen.headers["x-request-id"], seen.headers["traceparent"][:3]) == ("the-request", "00-")


MISFIT = "the collection 'chunks' has vectors of 768 dimensions, not of 384"


@pytest.mark.parametrize(
    ("name", "answer", "reason"),
    [
        ("qdrant", {"result": {"config": {"params": {"vectors": {"size": 384}}}}}, None),
        ("qdrant", {"result": {"config": {"params": {"vectors": {"size": 768}}}}}, MISFIT),
        ("chroma", {"id": "one", "dimension": 384}, None),
        ("chroma", {"id": "one", "dimension": None}, None),
        ("chroma", {"id": "one", "dimension": 768}, MISFIT),
        ("chroma", [], "vector: unusable answer: TypeError: list indices must be integers or slices, not str"),
    ],
)  # fmt: skip
def test_readiness_says_what_is_amiss(tmp_path: Path, name: Name, answer: Any, reason: str | None) -> None:
    assert asking(tmp_path, name, always(200, answer), lambda points: points.check())[0] == reason
    gone = asking(tmp_path, name, always(404, {}), lambda points: points.check())[0]
    assert gone == "vector: status 404: {}"


class Chroma:
    """One collection, whose id changes when it is made again; None: it is gone."""

    def __init__(self) -> None:
        self.id: str | None = "one"
        self.paths: list[str] = []

    async def __call__(self, exchange: Exchange) -> None:
        self.paths.append(exchange.path.removeprefix(COLLECTIONS))
        if self.id is None or exchange.path not in (f"{COLLECTIONS}/chunks", f"{COLLECTIONS}/{self.id}/count"):
            await exchange.answer(404, json.dumps({"error": "NotFoundError", "message": "Collection does not exist"}).encode())
        elif exchange.path.endswith("/count"):
            await exchange.answer(200, b"7")
        else:
            await exchange.answer(200, json.dumps({"id": self.id, "dimension": None}).encode())


def test_a_collection_that_was_made_again_is_found_again_and_counted(tmp_path: Path) -> None:
    server = Chroma()

    async def counts(points: PointStore) -> list[int]:
        found = [await points.count(), await points.count()]
        server.id = "two"
        return [*found, *await asyncio.gather(points.count(), points.count()), await points.count()]

    with counted("rag_vector_recreated_total", 1):
        assert asking(tmp_path, "chroma", server, counts)[0] == [7, 7, 7, 7, 7]
    assert server.paths[:3] == ["/chunks", "/one/count", "/one/count"]
    assert server.paths[-1] == "/two/count"


def test_a_collection_that_is_gone_is_an_error_and_no_empty_answer(tmp_path: Path) -> None:
    server = Chroma()

    async def count_then_lose(points: PointStore) -> int:
        assert await points.count() == 7
        server.id = None
        return await points.count()

    error, _ = asking(tmp_path, "chroma", server, count_then_lose)
    assert (type(error), error.message) == (CollectionMissingError, "vector: status 404: NotFoundError: Collection does not exist")


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"ids": [], "documents": [], "metadatas": [], "distances": []},
        {"ids": [["1"]], "documents": [None], "metadatas": [None], "distances": [None]},
        {"ids": [["1", "2"]], "documents": [["t"]], "metadatas": [[None]], "distances": [[0.1]]},
    ],
)
def test_columns_that_do_not_fit_are_no_answer(tmp_path: Path, answer: Any) -> None:
    async def handler(exchange: Exchange) -> None:
        await exchange.answer(200, json.dumps({"id": "one", "dimension": None} if exchange.method == "GET" else answer).encode())

    error, _ = asking(tmp_path, "chroma", handler, lambda points: points.nearest(VECTOR, 2))
    assert (error.outcome, error.message[:24]) == ("error", "vector: unusable answer:")


def test_a_dead_store_opens_the_circuit_and_then_costs_nothing(tmp_path: Path) -> None:
    async def ask(points: PointStore) -> list[str]:
        outcomes: list[str] = []
        for _ in range(5):
            try:
                await points.nearest(VECTOR, 5)
            except UpstreamError as error:
                outcomes.append(error.outcome)
        return outcomes

    outcomes, seen = asking(tmp_path, "qdrant", hang_up, ask)
    assert (outcomes[-1], len(seen)) == ("circuit_open", 5)
