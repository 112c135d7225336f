"""Calls of chromadb's HTTP clients, sync and async."""

from __future__ import annotations

import asyncio
from typing import Any

import chromadb
from told import Told, arguments

VECTORS = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.9, 0.1, 0.0]]


def basics(told: Told, client: Any) -> Any:
    told.of("heartbeat", lambda: client.heartbeat() > 0)
    told.of("version", lambda: client.get_version().split(".")[0].isdigit())
    docs = told.of("create", lambda: client.create_collection("docs", metadata={"hnsw:space": "cosine"}))
    told.found["create"] = docs.name
    told.of("create_twice", lambda: client.create_collection("docs").name)
    told.of("get_or_create", lambda: client.get_or_create_collection("docs").id == docs.id)
    told.of("list", lambda: [str(one if isinstance(one, str) else one.name) for one in client.list_collections()])
    told.of("collections", lambda: client.count_collections())
    told.of(
        "add",
        lambda: docs.add(
            ids=["a", "b", "c"],
            embeddings=VECTORS,
            documents=["one", "two", "three"],
            metadatas=[{"year": 2021, "tag": "x"}, {"year": 2022, "tag": "y"}, {"year": 2023, "tag": "x"}],
        ),
    )
    told.of("count", docs.count)
    told.of(
        "query",
        lambda: [
            (found := docs.query(query_embeddings=[[1.0, 0.0, 0.0]], n_results=2))["ids"],
            [[round(d, 3) for d in row] for row in found["distances"]],
            found["documents"],
        ],
    )
    told.of("query_where", lambda: docs.query(query_embeddings=[[1.0, 0.0, 0.0]], n_results=3, where={"tag": "y"})["ids"])
    told.of(
        "query_operators",
        lambda: docs.query(
            query_embeddings=[[1.0, 0.0, 0.0]], n_results=3, where={"$and": [{"year": {"$gte": 2022}}, {"tag": {"$in": ["x"]}}]}
        )["ids"],
    )
    told.of(
        "query_document", lambda: docs.query(query_embeddings=[[1.0, 0.0, 0.0]], n_results=3, where_document={"$contains": "wo"})["ids"]
    )
    told.of("query_many", lambda: docs.query(query_embeddings=VECTORS, n_results=1)["ids"])
    told.of(
        "query_include",
        lambda: sorted(k for k, v in docs.query(query_embeddings=[[1.0, 0.0, 0.0]], n_results=1, include=["metadatas"]).items() if v),
    )
    told.of("get", lambda: [(found := docs.get(ids=["a", "zzz"]))["ids"], found["metadatas"]])
    told.of("get_embeddings", lambda: [[float(x) for x in row] for row in docs.get(ids=["b"], include=["embeddings"])["embeddings"]])
    told.of("get_limit", lambda: docs.get(limit=1, offset=1)["ids"])
    told.of("peek", lambda: len(docs.peek(2)["ids"]))
    return docs


def changes(told: Told, client: Any, docs: Any) -> None:
    told.of("update", lambda: docs.update(ids=["a"], metadatas=[{"year": 1999}]))
    told.of("updated", lambda: docs.get(ids=["a"])["metadatas"])
    told.of("upsert", lambda: docs.upsert(ids=["a", "d"], embeddings=[[0.0, 0.0, 1.0], [0.5, 0.5, 0.0]], documents=["eins", "vier"]))
    told.of("upserted", lambda: [docs.count(), docs.query(query_embeddings=[[0.0, 0.0, 1.0]], n_results=1)["ids"]])
    told.of("delete", lambda: bool(docs.delete(ids=["b"]) is not False))
    told.of("delete_where", lambda: bool(docs.delete(where={"year": 2023}) is not False))
    told.of("left", docs.count)
    told.of("modify", lambda: docs.modify(name="renamed"))
    told.of("renamed", lambda: client.get_collection("renamed").id == docs.id)


def errors(told: Told, client: Any, docs: Any) -> None:
    told.of("dimension_error", lambda: docs.query(query_embeddings=[[1.0, 0.0]], n_results=1))
    told.of("missing_collection", lambda: client.get_collection("nope"))
    told.of("delete_collection", lambda: client.delete_collection("renamed"))
    told.of("stale_handle", docs.count)


async def asynchronous(told: Told, host: str, port: int) -> None:
    found: dict[str, Any] = {}
    client = await chromadb.AsyncHttpClient(host=host, port=port)
    docs = await client.create_collection("aio")
    await docs.add(ids=["a", "b"], embeddings=[[1.0, 0.0], [0.0, 1.0]])
    found["query"] = (await docs.query(query_embeddings=[[0.0, 1.0]], n_results=1))["ids"]
    found["count"] = await docs.count()
    await docs.delete(ids=["a"])
    found["left"] = await docs.count()
    told.of("async", lambda: found)


def main() -> None:
    told, asked = Told(), arguments()
    client = chromadb.HttpClient(host=asked["host"], port=asked["port"])
    docs = basics(told, client)
    changes(told, client, docs)
    errors(told, client, docs)
    asyncio.run(asynchronous(told, asked["host"], asked["port"]))
    told.print()


if __name__ == "__main__":
    main()
