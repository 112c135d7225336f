"""What the reference application makes of the faults of a vector store: never a crash, never a broken hit, and a word for what happened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from mocks.rag.common.errors import UpstreamError
from mocks.rag.vectorstore.base import VectorStore
from tests.integration.backends import Postgres
from tests.integration.vector_stores import Deployment, chunks_of, deployed, event, vector

pytestmark = [pytest.mark.e2e, pytest.mark.beside]

NEAREST = ["tides#0", "tides#1", "tides#2", "ice#0"]


@pytest.fixture(scope="module", params=["qdrant", "chroma"])
def deployment(request: pytest.FixtureRequest, postgres_server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Two documents of three chunks, the first of them in its second revision. Each test takes its fault back."""
    url = postgres_server.create_database(f"vector_faults_{request.param}")
    with deployed(request.param, url, tmp_path_factory.mktemp("deployment")) as made:

        async def fill(store: VectorStore) -> None:
            for doc_id, revision, text in (("tides", 1, "the sea before 7"), ("tides", 2, "the sea rises by 12"), ("ice", 1, "far off")):
                one = event(doc_id, revision, text)
                parts = chunks_of(one, 3)
                assert await store.index(one, parts, [near(part.doc_id, part.ordinal) for part in parts])

        made.run(fill)
        yield made


def near(doc_id: str, ordinal: int) -> list[float]:
    """Vectors whose order is known: the chunks of `tides` in their order, then those of `ice`."""
    angle = (0.05 if doc_id == "tides" else 0.5) * (1 + ordinal)
    return [1.0, angle, *([0.0] * 382)]


ASKED = [1.0, *([0.0] * 383)]


async def searched(store: VectorStore) -> list[str] | str:
    """The chunks found in two searches, or what the second one failed of: some faults hit a connection's second request."""
    with suppress(UpstreamError):
        await store.by_vector(ASKED, 4)
    try:
        found = await store.by_vector(ASKED, 4)
    except UpstreamError as error:
        assert error.callee == "vector"
        return error.outcome
    assert all(-1.001 <= one["score"] <= 1.001 and one["text"] for one in found)
    return [one["chunk_id"] for one in found]


FAULTS: list[tuple[dict[str, Any], list[str] | str]] = [
    ({"type": "service_error", "status": 500}, "http_5xx"),
    ({"type": "service_error", "status": 503}, "http_5xx"),
    ({"type": "service_error", "status": 429, "retry_after_s": 60}, "rate_limited"),
    ({"type": "service_error", "status": 404}, "http_4xx"),
    ({"type": "service_error", "status": 408}, "http_4xx"),
    ({"type": "service_error", "status": 400}, "http_4xx"),
    ({"type": "service_error", "status": 503, "first": 1}, NEAREST),
    ({"type": "dimension_error"}, "http_4xx"),
    ({"type": "gateway_error", "status": 502}, "http_5xx"),
    ({"type": "gateway_error", "status": 504, "body": "empty"}, "http_5xx"),
    ({"type": "connection_reset"}, "connection_lost"),
    ({"type": "connection_closed"}, "connection_lost"),
    ({"type": "connection_reset", "every": 2}, NEAREST),
    ({"type": "connection_hang"}, "timeout"),
    ({"type": "dead_keep_alive"}, NEAREST),
    ({"type": "dead_keep_alive", "how": "reset"}, NEAREST),
    ({"type": "empty_body"}, "error"),
    ({"type": "truncated_json"}, "error"),
    ({"type": "invalid_json"}, "error"),
    ({"type": "short_body"}, "connection_lost"),
    ({"type": "missing_result"}, "error"),
    ({"type": "slow_answer", "delay_s": 2.0}, "timeout"),
    ({"type": "slow_answer", "delay_s": 0.05}, NEAREST),
    ({"type": "slow_headers", "over_s": 3.0}, "timeout"),
    ({"type": "empty_results"}, []),
    ({"type": "fewer_results", "keep": 2}, NEAREST[:2]),
    ({"type": "irrelevant_results"}, ["tides#2", "ice#0", "ice#1", "ice#2"]),
    ({"type": "duplicate_results"}, NEAREST[:2]),
    ({"type": "nan_scores"}, "error"),
    ({"type": "nan_scores", "value": "inf"}, "error"),
    ({"type": "constant_scores"}, NEAREST),
    ({"type": "counterfactual"}, NEAREST),
    ({"type": "poisoned_document"}, NEAREST),
    ({"type": "missing_payload"}, "error"),
    ({"type": "oversize_payload"}, NEAREST[1:]),
]


@pytest.mark.parametrize(
    ("document", "expected"), FAULTS, ids=[" ".join(str(value) for value in document.values()) for document, _ in FAULTS]
)
def test_a_search_under_a_fault(deployment: Deployment, document: dict[str, Any], expected: list[str] | str) -> None:
    assert deployment.vector is not None
    with deployment.vector.fault(**document):
        assert deployment.run(searched) == expected
    assert deployment.run(searched) == NEAREST


def test_a_replaced_document_may_come_as_it_was(deployment: Deployment) -> None:
    """Each revision of a chunk is a point of its own, and the old one is deleted: a store that lags tells of it all the same."""
    assert deployment.vector is not None

    async def told(store: VectorStore) -> list[tuple[str, bool, bool]]:
        found = await store.by_vector(ASKED, 4)
        return [(one["chunk_id"], "before 7" in one["text"], "rises by 12" in one["text"]) for one in found]

    with deployment.vector.fault(type="stale_version"):
        assert deployment.run(told) == [*((chunk_id, True, False) for chunk_id in NEAREST[:3]), ("ice#0", False, False)]
    assert deployment.run(told) == [*((chunk_id, False, True) for chunk_id in NEAREST[:3]), ("ice#0", False, False)]


def test_a_collection_that_was_recreated(deployment: Deployment) -> None:
    """Chroma's has another id, which is looked up; Qdrant's is empty as long as the fault lasts."""
    assert deployment.vector is not None
    vectors = deployment.vector

    async def use(store: VectorStore) -> list[str] | str:
        assert await searched(store) == NEAREST
        with vectors.fault(type="collection_recreated"):
            return await searched(store)

    assert deployment.run(use) == (NEAREST if deployment.name == "chroma" else [])


@pytest.mark.parametrize("how", ["reset", "fin", "hang"])
def test_a_write_whose_acknowledgement_is_lost_is_repeated_and_leaves_no_trace(deployment: Deployment, how: str) -> None:
    assert deployment.vector is not None
    vectors = deployment.vector

    async def use(store: VectorStore) -> list[str]:
        one = event(f"lost-{how}", 1, "an upload")
        parts = chunks_of(one, 2)
        with vectors.fault(type="lost_acknowledgement", how=how, first=1):
            for _ in range(3):  # as the subscriber does with an event that is still unacknowledged
                try:
                    assert await store.index(one, parts, [vector(part.text) for part in parts])
                    break
                except UpstreamError:
                    continue
        found = [hit["chunk_id"] for hit in await store.by_vector(vector("an upload 0"), 20)]
        return [chunk_id for chunk_id in found if chunk_id.startswith("lost-")]

    try:
        assert sorted(deployment.run(use)) == [f"lost-{how}#0", f"lost-{how}#1"]
    finally:
        deployment.run(lambda store: store.index(event(f"lost-{how}", 2, ""), [], []))
