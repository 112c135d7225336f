"""Calls of the last qdrant-client before 1.0."""

from __future__ import annotations

from typing import Any

from qdrant_client import QdrantClient
from qdrant_client.http import models
from told import Told, arguments


def ids(points: Any) -> list[Any]:
    return [point.id for point in points]


def main() -> None:
    told, asked = Told(), arguments()
    client = QdrantClient(host=asked["host"], port=asked["port"])
    points = [
        models.PointStruct(id=1, vector=[1.0, 0.0, 0.0], payload={"text": "one", "tag": "a"}),
        models.PointStruct(id=2, vector=[0.0, 1.0, 0.0], payload={"text": "two", "tag": "b"}),
        models.PointStruct(id=3, vector=[0.9, 0.1, 0.0], payload={"text": "three", "tag": "a"}),
    ]
    only_b = models.Filter(must=[models.FieldCondition(key="tag", match=models.MatchValue(value="b"))])
    only_a = models.Filter(must=[models.FieldCondition(key="tag", match=models.MatchValue(value="a"))])
    plain = models.VectorParams(size=3, distance=models.Distance.COSINE)
    told.of("recreate", lambda: client.recreate_collection("docs", vectors_config=plain))
    told.of("upsert", lambda: client.upsert("docs", points).status.value)
    told.of("search", lambda: [(p.id, round(p.score, 4), p.payload["text"]) for p in client.search("docs", [1.0, 0.0, 0.0], limit=2)])
    told.of("search_filter", lambda: ids(client.search("docs", [1.0, 0.0, 0.0], query_filter=only_b)))
    requests = [models.SearchRequest(vector=[1.0, 0.0, 0.0], limit=1), models.SearchRequest(vector=[0.0, 1.0, 0.0], limit=1)]
    told.of("search_batch", lambda: [ids(one) for one in client.search_batch("docs", requests)])
    told.of("retrieve", lambda: ids(client.retrieve("docs", [2, 99])))
    told.of("scroll", lambda: [ids((page := client.scroll("docs", scroll_filter=only_a))[0]), page[1]])
    told.of("count", lambda: client.count("docs").count)
    told.of("recommend", lambda: ids(client.recommend("docs", positive=[1], limit=1)))
    told.of("set_payload", lambda: client.set_payload("docs", {"new": 1}, points=[1]).status)
    told.of("payload_now", lambda: client.retrieve("docs", [1])[0].payload)
    told.of("delete", lambda: client.delete("docs", models.PointIdsList(points=[3])).status)
    told.of("left", lambda: client.count("docs").count)
    told.of("collections", lambda: [one.name for one in client.get_collections().collections])
    told.of("delete_collection", lambda: client.delete_collection("docs").result)
    told.print()


if __name__ == "__main__":
    main()
