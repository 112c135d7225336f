"""qdrant-client in `vector_faults`: from 0.11 to 1.20, sync and async."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import Any

import httpx
import vector_points as wanted
from qdrant_client import QdrantClient
from qdrant_client.http import models

OF_TENANT = models.Filter(must=[models.FieldCondition(key="tenant", match=models.MatchValue(value=wanted.TENANT))])
PLAIN = models.VectorParams(size=2, distance=models.Distance.COSINE)


def filled(asked: dict[str, Any], name: str, *, pooled: bool) -> Store:
    """A new collection with the points. The client's settings are its own; `pooled`: but for the pool of connections.

    (To this machine it keeps no connection alive by itself.)
    """
    where: dict[str, Any] = {"host": "127.0.0.1", "port": asked["port"]}
    patient = _patient(asked["port"])
    (patient.recreate_collection if asked["older"] else patient.create_collection)(name, vectors_config=PLAIN)
    patient.upsert(name, [point(0, wanted.BEFORE)])
    patient.upsert(name, [point(i, text) for i, text in enumerate(wanted.TEXTS)])
    options = where | ({"limits": httpx.Limits()} if pooled else {})
    if asked["asynchronous"]:
        return Asynchronous(QdrantClient(**options), name, options)
    return (Older if asked["older"] else Store)(QdrantClient(**options), name)


@cache
def _patient(port: int) -> QdrantClient:
    """For what is no case: a crowded machine is no fault."""
    return QdrantClient(host="127.0.0.1", port=port, timeout=60)


def point(number: int, text: str) -> models.PointStruct:
    vector = wanted.NEW_VECTOR if number == wanted.NEW else wanted.VECTORS[number]
    return models.PointStruct(id=number, vector=vector, payload={"text": text, "tenant": "ab"[number % 2]})


def told(points: list[Any]) -> dict[str, object]:
    return wanted.told([one.id for one in points], [one.score for one in points], [(one.payload or {}).get("text") for one in points])


class Store:
    """A client since 1.0."""

    def __init__(self, client: QdrantClient, name: str) -> None:
        self._client = client
        self._name = name

    def query(self) -> dict[str, object]:
        return told(self._client.query_points(self._name, wanted.ASKED, limit=wanted.LIMIT, query_filter=OF_TENANT).points)

    def write(self) -> dict[str, object]:
        return {"wrote": self._client.upsert(self._name, [point(wanted.NEW, wanted.NEW_TEXT)]).status.value}

    def holds(self) -> bool:
        return bool(self._client.retrieve(self._name, [wanted.NEW]))

    def probe(self) -> bool:
        return self._client.get_collections() is not None

    def fetched_again(self) -> dict[str, object]:
        return self.query()  # the name is all that a client holds


class Older(Store):
    """The last client before 1.0."""

    def query(self) -> dict[str, object]:
        return told(self._client.search(self._name, wanted.ASKED, limit=wanted.LIMIT, query_filter=OF_TENANT))


class Asynchronous(Store):
    """Searches and writes through the async client, on a loop that outlives each call, as its connections do."""

    def __init__(self, client: QdrantClient, name: str, options: dict[str, Any]) -> None:
        from qdrant_client import AsyncQdrantClient  # 0.11 has none

        super().__init__(client, name)
        self._asynchronous = AsyncQdrantClient(**options)
        self._loop = asyncio.new_event_loop()

    def query(self) -> dict[str, object]:
        asked = self._asynchronous.query_points(self._name, wanted.ASKED, limit=wanted.LIMIT, query_filter=OF_TENANT)
        return told(self._loop.run_until_complete(asked).points)

    def write(self) -> dict[str, object]:
        asked = self._asynchronous.upsert(self._name, [point(wanted.NEW, wanted.NEW_TEXT)])
        return {"wrote": self._loop.run_until_complete(asked).status.value}
