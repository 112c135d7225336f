"""The mock Qdrant and its real client: the same answers as the client's own in-memory Qdrant."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qdrant_client import AsyncQdrantClient, QdrantClient, models

from tests.integration.vector_rig import Rig

DOCS = "docs"
SIZE = 4
IDS = st.integers(0, 9) | st.sampled_from(["6f9619ff-8b86-d011-b42d-00c04fc964ff", "00000000-0000-0000-0000-000000000001"])
VECTORS = st.lists(st.integers(-4, 4).map(float), min_size=SIZE, max_size=SIZE).filter(any)
PAYLOADS = st.fixed_dictionaries({"n": st.integers(0, 4)}, optional={"tag": st.sampled_from("abc"), "deep": st.just({"a": [1, 2]})})
POINTS = st.lists(st.builds(models.PointStruct, id=IDS, vector=VECTORS, payload=PAYLOADS), min_size=1, max_size=5)
FILTERS = st.sampled_from(
    [
        models.Filter(must=[models.FieldCondition(key="tag", match=models.MatchAny(any=["a", "b"]))]),
        models.Filter(must_not=[models.FieldCondition(key="n", range=models.Range(gte=2))]),
        models.Filter(should=[models.HasIdCondition(has_id=[1, 2, 3]), models.IsEmptyCondition(is_empty=models.PayloadField(key="tag"))]),
    ]
)
SELECTORS = st.lists(IDS, min_size=1, max_size=3) | FILTERS

Call = Callable[[QdrantClient], Any]


@st.composite
def writes(draw: st.DrawFn) -> Call:
    """A change that any Qdrant takes."""
    kind = draw(st.sampled_from(["upsert", "delete", "set", "overwrite", "clear", "drop", "batch"]))
    points, payload = draw(POINTS), draw(PAYLOADS)
    chosen = draw(FILTERS)  # by filter: ids that are not there are an error of the real thing, and none of the one in memory
    calls: dict[str, Call] = {
        "upsert": lambda client: client.upsert(DOCS, points),
        "delete": lambda client: client.delete(DOCS, draw_once),
        "set": lambda client: client.set_payload(DOCS, payload, chosen),
        "overwrite": lambda client: client.overwrite_payload(DOCS, payload, chosen),
        "clear": lambda client: client.clear_payload(DOCS, chosen),
        "drop": lambda client: client.delete_payload(DOCS, ["tag", "deep.a"], chosen),
        "batch": lambda client: client.batch_update_points(
            DOCS,
            [
                models.UpsertOperation(upsert=models.PointsList(points=points)),
                models.ClearPayloadOperation(clear_payload=models.FilterSelector(filter=chosen)),
            ],
        ),
    }
    draw_once = draw(SELECTORS)
    return calls[kind]


def readings(client: QdrantClient, vector: list[float], chosen: models.Filter) -> dict[str, Any]:
    """What a client sees of the collection. Of equal scores, any order is right."""
    found: dict[str, Any] = {
        "count": client.count(DOCS).count,
        "count_filtered": client.count(DOCS, count_filter=chosen).count,
        "scroll": [(one.id, one.payload, rounded(one.vector)) for one in client.scroll(DOCS, limit=50, with_vectors=True)[0]],
        "page": [(one.id, one.payload) for one in client.scroll(DOCS, scroll_filter=chosen, limit=2, with_payload=["n"])[0]],
    }
    everything = client.query_points(DOCS, vector, limit=50, with_payload=True).points
    found["query"] = sorted((round(one.score, 4), str(one.id), json.dumps(one.payload)) for one in everything)
    some = client.query_points(
        DOCS, vector, query_filter=chosen, limit=50, score_threshold=0.0317
    ).points  # no score is equal to that, to the last digit
    found["query_filtered"] = sorted((round(one.score, 4), str(one.id)) for one in some)
    groups = client.query_points_groups(DOCS, group_by="tag", query=vector, limit=50, group_size=50).groups
    found["groups"] = sorted((str(group.id), sorted(str(hit.id) for hit in group.hits)) for group in groups)
    return found


def rounded(vector: Any) -> list[float]:
    return [round(number, 4) for number in vector]


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with Rig("qdrant") as served:
        yield served


@pytest.fixture(scope="module")
def client(rig: Rig) -> Iterator[QdrantClient]:
    remote = QdrantClient(url=rig.url)
    yield remote
    remote.close()


@settings(max_examples=40, deadline=None)
@given(
    distance=st.sampled_from([models.Distance.COSINE, models.Distance.DOT]),
    changes=st.lists(writes(), min_size=1, max_size=6),
    vector=VECTORS,
    chosen=FILTERS,
)
def test_it_answers_as_the_one_in_memory(
    client: QdrantClient, distance: models.Distance, changes: list[Call], vector: list[float], chosen: models.Filter
) -> None:
    local = QdrantClient(":memory:")
    for one in (local, client):
        if one.collection_exists(DOCS):
            one.delete_collection(DOCS)
        one.create_collection(DOCS, models.VectorParams(size=SIZE, distance=distance))
        for change in changes:
            change(one)
    assert readings(client, vector, chosen) == readings(local, vector, chosen)
    local.close()


def test_prefetches_are_fused_as_by_the_one_in_memory(client: QdrantClient) -> None:
    local = QdrantClient(":memory:")
    rng = np.random.default_rng(5)
    points = [models.PointStruct(id=n, vector=rng.standard_normal(SIZE).tolist()) for n in range(60)]
    queries = rng.standard_normal((2, SIZE)).tolist()
    prefetch = [models.Prefetch(query=query, limit=20) for query in queries]
    found = []
    for one in (local, client):
        if one.collection_exists(DOCS):
            one.delete_collection(DOCS)
        one.create_collection(DOCS, models.VectorParams(size=SIZE, distance=models.Distance.COSINE))
        one.upsert(DOCS, points)
        for query in (models.FusionQuery(fusion=models.Fusion.RRF), models.FusionQuery(fusion=models.Fusion.DBSF), queries[1]):
            hits = one.query_points(DOCS, query=query, prefetch=prefetch, limit=15).points
            found.append([round(hit.score, 4) for hit in hits])
        liked = models.RecommendQuery(recommend=models.RecommendInput(positive=[1, 2], negative=[3]))
        found.append([hit.id for hit in one.query_points(DOCS, query=liked, limit=10).points])
    assert found[:4] == found[4:]
    local.close()


def test_many_async_clients_at_once(rig: Rig) -> None:
    """Every answer belongs to its question."""

    async def scenario() -> list[Any]:
        remote = AsyncQdrantClient(url=rig.url)
        if await remote.collection_exists("many"):
            await remote.delete_collection("many")
        await remote.create_collection("many", models.VectorParams(size=2, distance=models.Distance.EUCLID))
        points = [models.PointStruct(id=n, vector=[float(n), 0.0], payload={"n": n}) for n in range(200)]
        await asyncio.gather(*(remote.upsert("many", points[start : start + 20]) for start in range(0, 200, 20)))
        answers = await asyncio.gather(*(remote.query_points("many", [float(n), 0.0], limit=1, with_payload=True) for n in range(200)))
        await remote.close()
        return [(one.points[0].id, one.points[0].payload, one.points[0].score) for one in answers]

    assert asyncio.run(scenario()) == [(n, {"n": n}, 0.0) for n in range(200)]
