"""What ended halfway in a store of its own, which knows no transaction: refused, it leaves nothing; killed, it is completed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from mocks.rag.vectorstore.base import DIMENSIONS, IndexRefusedError, VectorStore, VectorStoreName
from mocks.rag.vectorstore.points import POINTS_PER_REQUEST
from tests.integration.vector_stores import Deployment, chunks_of, deployed, event, found, indexed, vector

pytestmark = [pytest.mark.e2e, pytest.mark.beside]

OWN: tuple[VectorStoreName, ...] = ("qdrant", "chroma")


@pytest.fixture(params=OWN)
def separate(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> Iterator[Deployment]:
    with deployed(request.param, database_url, tmp_path) as made:
        yield made


def test_a_revision_that_is_refused_halfway_leaves_nothing(separate: Deployment) -> None:
    """Its first points would hide the revision that is in force, and nobody would remove them before a newer one comes."""

    async def use(store: VectorStore) -> None:
        assert await indexed(store, "d", 1, "first")
        one = event("d", 2, "second")
        parts = chunks_of(one, POINTS_PER_REQUEST + 1)
        vectors = [vector(part.text) for part in parts]
        vectors[-1] = vectors[-1][:10]
        for _ in range(2):
            with pytest.raises(IndexRefusedError, match="dimension"):
                await store.index(one, parts, vectors)
            assert await found(store, "first") == (["first 0"], ["first 0"])

    separate.run(use)


def test_what_the_database_refuses_leaves_nothing_in_the_store(separate: Deployment) -> None:
    async def use(store: VectorStore) -> None:
        assert await indexed(store, "d", 1, "first")
        one = event("d", 2, "second")
        (part,) = chunks_of(one, 1)
        with pytest.raises(psycopg.Error):
            await store.index(one, [part, part], [vector(part.text)] * 2)
        assert await found(store, "first") == (["first 0"], ["first 0"])

    separate.run(use)


def test_a_collection_whose_maker_was_killed_gets_its_indexes(database_url: str, tmp_path: Path) -> None:
    with deployed("qdrant", database_url, tmp_path) as made:
        assert made.vector is not None
        collection = f"{made.vector.url}/collections/chunks"
        with httpx.Client(trust_env=False) as client:
            assert client.delete(collection).status_code == 200
            assert client.put(collection, json={"vectors": {"size": DIMENSIONS, "distance": "Cosine"}}).status_code == 200
            assert made.migrate().returncode == 0
            schema = client.get(collection).json()["result"]["payload_schema"]
        assert {field: one["data_type"] for field, one in schema.items()} == {"doc_id": "keyword", "revision": "integer"}
