"""The two interfaces of vector stores that the harness can ask: where things are, and what an answer says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from harness.faults.programmed.wire import Ask, Exchange

COLLECTION = "lookaside"
"""Our own collection, there only while we look; its name says nothing of why."""


@dataclass(frozen=True, slots=True)
class Point:
    """One point of our own collection."""

    id: int
    vector: tuple[float, ...]
    text: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Hit:
    """One result. `score` is a similarity or a distance; what was not answered is None."""

    id: int
    score: float | None
    text: str | None
    tenant: str | None


class Product(Protocol):
    """One product, and one collection in it. What it asks later may depend on what it has read."""

    def __init__(self, collection: str = COLLECTION) -> None: ...
    def listing(self) -> Ask: ...
    def create(self, dimensions: int) -> Ask: ...
    def opened(self, created: Exchange) -> bool: ...
    def write(self, points: Sequence[Point]) -> Ask: ...
    def search(self, vector: Sequence[float], k: int, tenant: str | None) -> Ask: ...
    def hits(self, answer: Exchange) -> list[Hit] | None: ...
    def drop(self) -> Ask: ...


class Qdrant:
    """Qdrant's REST interface."""

    def __init__(self, collection: str = COLLECTION) -> None:
        self._path = f"/collections/{collection}"

    def listing(self) -> Ask:
        """All collections."""
        return Ask("list", "GET", "/collections")

    def create(self, dimensions: int) -> Ask:
        """Our own."""
        return Ask("create", "PUT", self._path, {"vectors": {"size": dimensions, "distance": "Cosine"}})

    def opened(self, created: Exchange) -> bool:
        """Whether it can be used: also where it was left over (409)."""
        return created.ended == "complete" and (created.good or created.status == 409)

    def write(self, points: Sequence[Point]) -> Ask:
        """Put points, and wait until they are there."""
        body = [{"id": one.id, "vector": list(one.vector), "payload": {"text": one.text, **one.labels}} for one in points]
        return Ask("write", "PUT", f"{self._path}/points?wait=true", {"points": body})

    def search(self, vector: Sequence[float], k: int, tenant: str | None) -> Ask:
        """The nearest points, of one tenant where it is given."""
        body: dict[str, Any] = {"query": list(vector), "limit": k, "with_payload": True}
        if tenant is not None:
            body["filter"] = {"must": [{"key": "tenant", "match": {"value": tenant}}]}
        return Ask("search", "POST", f"{self._path}/points/query", body)

    def hits(self, answer: Exchange) -> list[Hit] | None:
        """The results in their order; None where there is no list of them."""
        value = answer.value()
        points = value.get("result", {}).get("points") if isinstance(value, dict) else None
        return None if points is None else [_hit(one["id"], one.get("score"), one.get("payload")) for one in points]

    def drop(self) -> Ask:
        """Remove ours."""
        return Ask("drop", "DELETE", self._path)


class Chroma:
    """Chroma's REST interface, version 2, in its default tenant and database."""

    _collections = "/api/v2/tenants/default_tenant/databases/default_database/collections"

    def __init__(self, collection: str = COLLECTION) -> None:
        self._collection = collection
        self._id = ""

    def listing(self) -> Ask:
        """All collections."""
        return Ask("list", "GET", self._collections)

    def create(self, dimensions: int) -> Ask:  # noqa: ARG002 - follows from the first vector
        """Our own."""
        body = {"name": self._collection, "configuration": {"hnsw": {"space": "cosine"}}, "get_or_create": True}
        return Ask("create", "POST", self._collections, body)

    def opened(self, created: Exchange) -> bool:
        """Whether it can be used: it goes by the id in the answer from here on."""
        value = created.value()
        self._id = str(value.get("id", "")) if created.good and isinstance(value, dict) else ""
        return bool(self._id)

    def write(self, points: Sequence[Point]) -> Ask:
        """Put points."""
        body = {
            "ids": [str(one.id) for one in points],
            "embeddings": [list(one.vector) for one in points],
            "documents": [one.text for one in points],
            "metadatas": [dict(one.labels) for one in points],
        }
        return Ask("write", "POST", f"{self._collections}/{self._id}/upsert", body)

    def search(self, vector: Sequence[float], k: int, tenant: str | None) -> Ask:
        """The nearest points, of one tenant where it is given."""
        body: dict[str, Any] = {"query_embeddings": [list(vector)], "n_results": k}
        if tenant is not None:
            body["where"] = {"tenant": tenant}
        return Ask("search", "POST", f"{self._collections}/{self._id}/query", body)

    def hits(self, answer: Exchange) -> list[Hit] | None:
        """The results in their order; None where there is no list of them."""
        value = answer.value()
        if not isinstance(value, dict) or not value.get("ids"):
            return None
        ids = value["ids"][0]
        distances, documents, metadatas = ((value.get(name) or [[None] * len(ids)])[0] for name in ("distances", "documents", "metadatas"))
        rows = zip(ids, distances, documents, metadatas, strict=False)
        return [_hit(id_, distance, {**(metadata or {}), "text": document}) for id_, distance, document, metadata in rows]

    def drop(self) -> Ask:
        """Remove ours."""
        return Ask("drop", "DELETE", f"{self._collections}/{self._collection}")


def _hit(id_: Any, score: Any, payload: Mapping[str, Any] | None) -> Hit:
    found = payload or {}
    return Hit(int(id_), None if score is None else float(score), found.get("text"), found.get("tenant"))


PRODUCTS: tuple[type[Product], ...] = (Qdrant, Chroma)
