"""Calls of qdrant-client 1.x, sync and async: the whole reference table, and how its errors surface."""

from __future__ import annotations

import asyncio
import warnings
from typing import Any

from qdrant_client import AsyncQdrantClient, QdrantClient, models
from told import Told, arguments

POINTS = [
    models.PointStruct(id=1, vector=[1.0, 0.0, 0.0, 0.0], payload={"text": "one", "year": 2021, "tag": "a"}),
    models.PointStruct(id=2, vector=[0.0, 1.0, 0.0, 0.0], payload={"text": "two", "year": 2022, "tag": "b"}),
    models.PointStruct(id=3, vector=[0.9, 0.1, 0.0, 0.0], payload={"text": "three", "year": 2023, "tag": "a"}),
]
UUID = "6f9619ff-8b86-d011-b42d-00c04fc964ff"


def ids(points: Any) -> list[Any]:
    return [point.id for point in points]


def tagged(tag: str) -> models.Filter:
    return models.Filter(must=[models.FieldCondition(key="tag", match=models.MatchValue(value=tag))])


def basics(told: Told, client: QdrantClient) -> None:
    plain = models.VectorParams(size=4, distance=models.Distance.COSINE)
    told.of("create", lambda: client.create_collection("docs", vectors_config=plain))
    told.of("create_twice", lambda: client.create_collection("docs", vectors_config=plain))
    told.of("exists", lambda: [client.collection_exists("docs"), client.collection_exists("nope")])
    told.of("collections", lambda: [one.name for one in client.get_collections().collections])
    told.of("upsert", lambda: client.upsert("docs", POINTS, wait=True).status.value)
    told.of("upsert_uuid", lambda: client.upsert("docs", [models.PointStruct(id=UUID, vector=[0, 0, 1, 0], payload={})]).status.value)
    told.of("info", lambda: [(info := client.get_collection("docs")).points_count, info.config.params.vectors.size, info.status.value])
    told.of(
        "query", lambda: [(p.id, round(p.score, 4), p.payload["text"]) for p in client.query_points("docs", [1, 0, 0, 0], limit=2).points]
    )
    told.of("query_filter", lambda: ids(client.query_points("docs", [1, 0, 0, 0], query_filter=tagged("b"), limit=5).points))
    told.of(
        "query_range",
        lambda: ids(
            client.query_points(
                "docs",
                [1, 0, 0, 0],
                limit=5,
                query_filter=models.Filter(must=[models.FieldCondition(key="year", range=models.Range(gte=2022))]),
            ).points
        ),
    )
    told.of("query_id", lambda: ids(client.query_points("docs", query=1, limit=5).points))
    told.of("query_threshold", lambda: ids(client.query_points("docs", [1, 0, 0, 0], score_threshold=0.5).points))
    told.of("query_vectors", lambda: len(client.query_points("docs", [1, 0, 0, 0], limit=1, with_vectors=True).points[0].vector))
    told.of("query_no_payload", lambda: client.query_points("docs", [1, 0, 0, 0], limit=1, with_payload=False).points[0].payload)
    told.of(
        "query_batch",
        lambda: [
            ids(one.points)
            for one in client.query_batch_points(
                "docs", [models.QueryRequest(query=[1, 0, 0, 0], limit=1), models.QueryRequest(query=[0, 1, 0, 0], limit=1)]
            )
        ],
    )
    told.of(
        "query_groups",
        lambda: {
            g.id: ids(g.hits) for g in client.query_points_groups("docs", group_by="tag", query=[1, 0, 0, 0], limit=5, group_size=2).groups
        },
    )
    told.of("retrieve", lambda: sorted(map(str, ids(client.retrieve("docs", [2, UUID, 99])))))
    told.of("scroll", lambda: [ids((page := client.scroll("docs", limit=2, scroll_filter=tagged("a")))[0]), page[1]])
    told.of(
        "scroll_pages", lambda: [str((page := client.scroll("docs", limit=2))[1]), len(client.scroll("docs", limit=9, offset=page[1])[0])]
    )
    told.of("count", lambda: [client.count("docs").count, client.count("docs", count_filter=tagged("a")).count])


def changes(told: Told, client: QdrantClient) -> None:
    told.of("index", lambda: client.create_payload_index("docs", "tag", models.PayloadSchemaType.KEYWORD).status.value)
    told.of("set_payload", lambda: client.set_payload("docs", {"new": 1}, points=[1]).status.value)
    told.of("payload_now", lambda: client.retrieve("docs", [1])[0].payload)
    told.of("overwrite_payload", lambda: client.overwrite_payload("docs", {"only": 2}, points=[2]).status.value)
    told.of("delete_payload", lambda: client.delete_payload("docs", ["new"], points=[1]).status.value)
    told.of("update_vectors", lambda: client.update_vectors("docs", [models.PointVectors(id=2, vector=[0, 0, 0, 1])]).status.value)
    told.of("vector_now", lambda: client.retrieve("docs", [2], with_vectors=True)[0].vector)
    told.of("delete_ids", lambda: client.delete("docs", [UUID]).status.value)
    told.of("delete_filter", lambda: client.delete("docs", models.FilterSelector(filter=tagged("a"))).status.value)
    told.of("left", lambda: client.count("docs").count)
    told.of(
        "upload", lambda: client.upload_points("docs", (models.PointStruct(id=i, vector=[1, i, 0, 0]) for i in range(10, 210)), wait=True)
    )
    told.of("left_after_upload", lambda: client.count("docs").count)
    told.of(
        "alias",
        lambda: client.update_collection_aliases(
            [models.CreateAliasOperation(create_alias=models.CreateAlias(collection_name="docs", alias_name="current"))]
        ),
    )
    told.of("query_alias", lambda: len(client.query_points("current", [1, 0, 0, 0], limit=3).points))


def named(told: Told, client: QdrantClient) -> None:
    both = {
        "dense": models.VectorParams(size=2, distance=models.Distance.DOT),
        "small": models.VectorParams(size=3, distance=models.Distance.EUCLID),
    }
    told.of("named_create", lambda: client.create_collection("named", vectors_config=both))
    told.of(
        "named_upsert",
        lambda: (
            client.upsert(
                "named",
                [
                    models.PointStruct(id=1, vector={"dense": [1, 0], "small": [0, 0, 1]}),
                    models.PointStruct(id=2, vector={"dense": [0, 2]}),
                ],
            ).status.value
        ),
    )
    told.of("named_query", lambda: [(p.id, p.score) for p in client.query_points("named", [0, 1], using="dense").points])
    told.of(
        "fusion",
        lambda: sorted(
            ids(
                client.query_points(
                    "named",
                    query=models.FusionQuery(fusion=models.Fusion.RRF),
                    prefetch=[models.Prefetch(query=[1, 0], using="dense"), models.Prefetch(query=[0, 0, 1], using="small")],
                ).points
            )
        ),
    )


def errors(told: Told, client: QdrantClient) -> None:
    told.of("dimension_error", lambda: client.query_points("docs", [1, 0, 0]))
    told.of("missing_collection", lambda: client.query_points("nope", [1, 0, 0, 0]))
    told.of("delete_collection", lambda: [client.delete_collection("named"), client.collection_exists("named")])


async def asynchronous(told: Told, url: str) -> None:
    client = AsyncQdrantClient(url=url)
    found: dict[str, Any] = {}
    await client.create_collection("aio", vectors_config=models.VectorParams(size=2, distance=models.Distance.COSINE))
    found["upsert"] = (
        await client.upsert("aio", [models.PointStruct(id=1, vector=[1, 0]), models.PointStruct(id=2, vector=[0, 1])])
    ).status.value
    found["query"] = ids((await client.query_points("aio", [0, 1], limit=1)).points)
    found["count"] = (await client.count("aio")).count
    found["scroll"] = ids((await client.scroll("aio"))[0])
    await client.delete("aio", [1])
    found["left"] = (await client.count("aio")).count
    await client.close()
    told.of("async", lambda: found)


def main() -> None:
    told, url = Told(), arguments()["url"]
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        client = QdrantClient(url=url)
    told.of("warnings", lambda: [str(one.message) for one in seen])
    for part in (basics, changes, named, errors):
        part(told, client)
    asyncio.run(asynchronous(told, url))
    told.print()


if __name__ == "__main__":
    main()
