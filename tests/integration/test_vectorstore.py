"""One contract for pgvector, Qdrant and Chroma, on real processes; and what is promised of a store of its own."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psycopg
import pytest

from mocks.rag.common.errors import UpstreamError
from mocks.rag.document.store import DocumentStore
from mocks.rag.vectorstore.base import IndexRefusedError, VectorStore, VectorStoreName
from tests.integration.backends import Postgres, wait_until
from tests.integration.test_retrieval import corpus_lines
from tests.integration.vector_stores import Deployment, chunks_of, deployed, event, found, indexed, vector

pytestmark = [pytest.mark.e2e, pytest.mark.beside]

STORES: tuple[VectorStoreName, ...] = ("pgvector", "qdrant", "chroma")
OWN: tuple[VectorStoreName, ...] = ("qdrant", "chroma")


@pytest.fixture(params=STORES)
def deployment(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> Iterator[Deployment]:
    with deployed(request.param, database_url, tmp_path) as made:
        yield made


def test_nearest_first_as_many_as_asked_for_and_nothing_in_an_empty_store(deployment: Deployment) -> None:
    topics = ("tides of the sea", "glaciers and ice", "volcanoes", "deserts")
    near = {f"doc-{number}#{part}": vector(f"{topic} {part}") for number, topic in enumerate(topics) for part in range(2)}

    async def use(store: VectorStore) -> None:
        assert await found(store, "tides") == ([], [])
        for number, topic in enumerate(topics):
            assert await indexed(store, f"doc-{number}", 1, topic, chunks=2)
        asked = vector("ice of the glaciers 1")
        exact = sorted(((float(np.dot(asked, one)), chunk_id) for chunk_id, one in near.items()), reverse=True)[:3]
        expected: list[tuple[str, object]] = [(chunk_id, pytest.approx(score, abs=1e-5)) for score, chunk_id in exact]
        hits = await store.by_vector(asked, 3)
        assert [(one["chunk_id"], one["score"]) for one in hits] == expected
        assert hits[0] == {"doc_id": "doc-1", "chunk_id": "doc-1#1", "text": "glaciers and ice 1", "score": hits[0]["score"]}
        assert [one["chunk_id"] for one in await store.by_words("volcanoes?", 5)] == ["doc-2#0", "doc-2#1"]

    deployment.run(use)


def test_events_may_come_twice_late_and_in_any_order(deployment: Deployment) -> None:
    async def use(store: VectorStore) -> None:
        assert await indexed(store, "other", 1, "kept")
        assert await indexed(store, "d", 2, "second", chunks=3)
        assert await indexed(store, "d", 2, "second", chunks=3)
        assert not await indexed(store, "d", 1, "first", chunks=5)
        assert await found(store, "second") == (["kept 0", "second 0", "second 1", "second 2"], ["second 0", "second 1", "second 2"])
        assert await found(store, "first") == (["kept 0", "second 0", "second 1", "second 2"], [])
        assert await indexed(store, "d", 3, "third", chunks=1)
        assert not await indexed(store, "d", 2, "second", chunks=3)
        assert await found(store, "third") == (["kept 0", "third 0"], ["third 0"])
        assert await indexed(store, "d", 4, "", chunks=0)
        assert await found(store, "kept") == (["kept 0"], ["kept 0"])

    deployment.run(use)


def test_chunks_stay_until_a_newer_revision_has_its_own(deployment: Deployment) -> None:
    async def use() -> None:
        async with deployment.opened() as store, deployment.database() as pool:
            assert await indexed(store, "d", 1, "first")
            await DocumentStore(pool).accept(event("d", 3), "queued")
            assert not await indexed(store, "d", 2, "second")
            assert not await indexed(store, "d", 1, "first")
            assert await found(store, "first") == (["first 0"], ["first 0"])
            await DocumentStore(pool).bury(event("d", 3), "cannot be read")
            assert not await indexed(store, "d", 2, "second")
            assert await found(store, "first") == (["first 0"], ["first 0"])

    asyncio.run(use())


@pytest.mark.parametrize("seed", range(3))
def test_of_many_writers_at_once_the_newest_revision_wins(deployment: Deployment, seed: int) -> None:
    draw = random.Random(seed)
    revisions = list(range(1, 9))
    draw.shuffle(revisions)

    async def use() -> list[bool]:
        async with deployment.opened() as one, deployment.opened() as other:
            writes = [
                indexed(draw.choice((one, other)), "d", revision, f"revision{revision}", chunks=1 + revision % 3) for revision in revisions
            ]
            done = await asyncio.gather(*writes)
            expected = ["revision8 0", "revision8 1", "revision8 2"]
            assert await found(one, "revision8") == (expected, expected)
            return [won for _, won in sorted(zip(revisions, done, strict=True))]

    assert asyncio.run(use())[-1] is True


def test_vectors_of_another_dimension_are_refused_and_change_nothing(deployment: Deployment) -> None:
    async def use(store: VectorStore) -> None:
        assert await indexed(store, "d", 1, "first")
        with pytest.raises((IndexRefusedError, psycopg.Error), match="dim"):
            await store.index(event("d", 2), chunks_of(event("d", 2), 1), [[1.0, 0.0, 0.0]])
        assert await found(store, "first") == (["first 0"], ["first 0"])

    deployment.run(use)


def test_a_corpus_that_is_loaded_again_changes_only_what_changed(deployment: Deployment) -> None:
    lines = corpus_lines(30)
    assert json.loads(deployment.migrate(lines).stdout) == {"documents": 30, "chunks": 30}
    deployment.run(lambda store: indexed(store, "doc-1", 5, "uploaded since"))
    lines[0]["text"], lines[2]["text"] = "zebra " * 130, "gone"
    done = deployment.migrate(lines)
    assert (done.returncode, json.loads(done.stdout)) == (0, {"documents": 30, "chunks": 31}), done.stderr

    async def use(store: VectorStore) -> None:
        for text, texts in ((f"{lines[0]['title']}\nzebra", 2), ("uploaded since 0", 1), (f"{lines[2]['title']}\ngone", 1)):
            hits = await store.by_vector(vector(text), 50)
            doc_id = hits[0]["doc_id"]
            assert [one["doc_id"] for one in hits].count(doc_id) == texts
        assert len(await store.by_vector(vector("all"), 50)) == 31

    deployment.run(use)


@pytest.fixture(params=OWN)
def separate(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> Iterator[Deployment]:
    """A deployment whose vector store is a service of its own."""
    with deployed(request.param, database_url, tmp_path) as made:
        yield made


def test_a_killed_store_is_told_from_the_database_and_comes_back_with_what_it_held(separate: Deployment) -> None:
    assert separate.vector is not None
    separate.run(lambda store: indexed(store, "d", 1, "first"))
    separate.vector.kill()

    async def without(store: VectorStore) -> None:
        with pytest.raises(UpstreamError) as away:
            await store.by_vector(vector("first"), 3)
        assert (away.value.callee, away.value.outcome) == ("vector", "connect_error")
        with pytest.raises(UpstreamError):
            await indexed(store, "d", 2, "second")
        assert [one["text"] for one in await store.by_words("first", 3)] == ["first 0"]
        assert str(await store.checks["vector"]()).startswith("vector: ")

    separate.run(without)
    separate.vector.start()

    async def again(store: VectorStore) -> None:
        assert await store.checks["vector"]() is None
        assert await found(store, "first") == (["first 0"], ["first 0"])
        assert await indexed(store, "d", 2, "second")
        assert await found(store, "second") == (["second 0"], ["second 0"])

    separate.run(again)


def test_without_the_database_vectors_are_searched_as_ever(separate: Deployment, postgres: Postgres) -> None:
    separate.run(lambda store: indexed(store, "d", 1, "first"))
    postgres.stop()

    async def use(store: VectorStore) -> None:
        assert [one["text"] for one in await store.by_vector(vector("first"), 3)] == ["first 0"]
        with pytest.raises(UpstreamError) as away:
            await store.by_words("first", 3)
        assert away.value.callee == "postgres"

    separate.run(use)


def test_a_store_that_lost_its_data_is_filled_again_by_the_migration(separate: Deployment) -> None:
    assert separate.vector is not None
    assert separate.migrate(corpus_lines(20)).returncode == 0
    separate.run(lambda store: indexed(store, "doc-3", 7, "uploaded since", chunks=2))
    path = "/collections" if separate.name == "qdrant" else "/api/v2/tenants/default_tenant/databases/default_database/collections"
    assert separate.vector.http.delete(f"{path}/chunks").status_code == 200

    async def lost(store: VectorStore) -> None:
        assert "404" in str(await store.checks["vector"]())
        with pytest.raises(UpstreamError, match="404"):
            await store.by_vector(vector("x"), 3)

    separate.run(lost)
    done = separate.migrate(corpus_lines(20))
    assert (done.returncode, json.loads(done.stdout)) == (0, {"documents": 20, "chunks": 21}), done.stderr

    async def use(store: VectorStore) -> None:
        hits = await store.by_vector(vector("uploaded since 0"), 50)
        assert (len(hits), hits[0]["text"]) == (21, "uploaded since 0")
        assert await indexed(store, "doc-3", 8, "the newest")
        assert len(await store.by_vector(vector("x"), 50)) == 20

    separate.run(use)


def test_a_database_belongs_to_one_kind_of_store(separate: Deployment) -> None:
    assert separate.migrate(corpus_lines(2)).returncode == 0
    other = replace(separate, name="pgvector").migrate(corpus_lines(2))
    assert (other.returncode, other.stdout) == (1, "")
    assert other.stderr.startswith("migrate: SchemaMismatchError: the database keeps its vectors in a store of their own")


def test_a_collection_of_another_dimension_is_refused_by_name(separate: Deployment, tmp_path: Path) -> None:
    assert separate.vector is not None
    http = separate.vector.http
    if separate.name == "qdrant":
        http.delete("/collections/chunks")
        http.put("/collections/chunks", json={"vectors": {"size": 3, "distance": "Cosine"}}).raise_for_status()
    else:
        path = "/api/v2/tenants/default_tenant/databases/default_database/collections"
        collection = http.get(f"{path}/chunks").json()["id"]
        http.post(f"{path}/{collection}/upsert", json={"ids": ["x"], "embeddings": [[1, 0, 0]]}).raise_for_status()
    done = separate.migrate()
    words = "the collection 'chunks' has vectors of 3 dimensions, not of 384"
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, f"migrate: StoreRefusedError: vector: {words}")

    async def use(store: VectorStore) -> None:
        assert await store.checks["vector"]() == words
        with pytest.raises(UpstreamError, match=r"400.*dim"):
            await store.by_vector(vector("x"), 3)

    separate.run(use)


def test_chromas_collection_that_is_made_again_is_followed(database_url: str, tmp_path: Path) -> None:
    with deployed("chroma", database_url, tmp_path) as deployment:
        assert deployment.vector is not None
        path = "/api/v2/tenants/default_tenant/databases/default_database/collections"
        http = deployment.vector.http

        async def use(store: VectorStore) -> None:
            assert await indexed(store, "d", 1, "first")
            http.delete(f"{path}/chunks").raise_for_status()
            http.post(path, json={"name": "chunks", "configuration": {"hnsw": {"space": "cosine"}}}).raise_for_status()
            assert await store.by_vector(vector("first"), 3) == []
            assert await indexed(store, "d", 2, "second")
            assert [one["text"] for one in await store.by_vector(vector("second"), 3)] == ["second 0"]

        deployment.run(use)


@pytest.mark.parametrize(
    ("variable", "reason"), [("VECTOR_STORE", "VECTOR_STORE must be one of"), ("REGISTRY_FILE", "REGISTRY_FILE is not set")]
)
def test_the_migration_says_what_it_cannot_use(variable: str, reason: str, tmp_path: Path) -> None:
    deployment = Deployment("qdrant", "postgresql://127.0.0.1:1/none", tmp_path / "registry.json", None)
    done = deployment.migrate(environment={variable: "nonsense" if variable == "VECTOR_STORE" else ""})
    assert (done.returncode, done.stdout, done.stderr[: 9 + len(reason)]) == (2, "", f"migrate: {reason}")


def test_a_paused_store_costs_a_time_limit_and_then_nothing(separate: Deployment) -> None:
    assert separate.vector is not None
    separate.run(lambda store: indexed(store, "d", 1, "first"))
    separate.vector.pause()

    async def use(store: VectorStore) -> None:
        outcomes = []
        for _ in range(6):
            with pytest.raises(UpstreamError) as slow:
                await store.by_vector(vector("first"), 3)
            outcomes.append(slow.value.outcome)
        assert (outcomes[0], outcomes[-1]) == ("timeout", "circuit_open")
        assert separate.vector is not None
        separate.vector.resume()

        async def healed() -> bool:
            try:
                return bool(await store.by_vector(vector("first"), 3))
            except UpstreamError:
                return False

        async with asyncio.timeout(60):
            while not await healed():  # noqa: ASYNC110 - another process makes it true
                await asyncio.sleep(0.05)

    separate.run(use)


def test_the_service_is_one_like_any_other(separate: Deployment) -> None:
    """What the harness needs of every service: probes and metrics."""
    assert separate.vector is not None
    for route in ("/health", "/ready", "/metrics"):
        assert separate.vector.http.get(route).status_code == 200
    wait_until(lambda: "rag_requests_total" in separate.vector.http.get("/metrics").text, "requests counted")  # type: ignore[union-attr]  # asserted above
