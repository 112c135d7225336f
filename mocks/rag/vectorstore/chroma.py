"""Points in Chroma, over its v2 REST interface.

Chroma addresses a collection by an id that changes when the collection is deleted and made again, although its name stays. The id is kept
here, or each call would take two; an answer "no such collection" makes this store look the name up again instead of failing until somebody
restarts the service.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mocks.rag.common.errors import UpstreamError
from mocks.rag.common.log import get_logger
from mocks.rag.common.metrics import VECTOR_RECREATED
from mocks.rag.vectorstore.base import DIMENSIONS, Vector
from mocks.rag.vectorstore.points import COLLECTION, POINTS_PER_REQUEST, CollectionMissingError, Hit, Point, StoreRefusedError
from mocks.rag.vectorstore.rest import Rest, unusable

_COLLECTIONS = "/api/v2/tenants/default_tenant/databases/default_database/collections"


def reason(answer: Any) -> str:
    """Of an error's body: `{"error": "NotFoundError", "message": "…"}`."""
    return f"{answer['error']}: {answer['message']}"


class ChromaPoints:
    """`PointStore` on the collection `chunks` of the default database."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._id: str | None = None
        self._log = get_logger("vector")

    async def ensure(self) -> None:
        wanted = {"name": COLLECTION, "get_or_create": True, "configuration": {"hnsw": {"space": "cosine"}}}
        misfit = self._adopt(await self._rest.call("POST", _COLLECTIONS, wanted))
        if misfit is not None:
            raise StoreRefusedError(misfit)

    async def put(self, points: Sequence[Point]) -> None:
        for start in range(0, len(points), POINTS_PER_REQUEST):
            await self._call("POST", "upsert", _columns(points[start : start + POINTS_PER_REQUEST]))

    async def remove(self, doc_ids: Sequence[str], *, below: int | None = None, exactly: int | None = None) -> None:
        conditions: list[dict[str, Any]] = [{"doc_id": {"$in": list(doc_ids)}}]
        if below is not None:
            conditions.append({"revision": {"$lt": below}})
        if exactly is not None:
            conditions.append({"revision": {"$eq": exactly}})
        where = conditions[0] if len(conditions) == 1 else {"$and": conditions}  # Chroma refuses `$and` of one
        await self._call("POST", "delete", {"where": where})

    async def nearest(self, vector: Vector, top_k: int) -> list[Hit]:
        asked = {"query_embeddings": [list(vector)], "n_results": top_k, "include": ["documents", "metadatas", "distances"]}
        answer = await self._call("POST", "query", asked)
        try:
            columns = (answer["ids"][0], answer["documents"][0], answer["metadatas"][0], answer["distances"][0])
            return [_hit(document, metadata, distance) for _, document, metadata, distance in zip(*columns, strict=True)]
        except (KeyError, TypeError, IndexError, ValueError) as error:
            raise unusable(error) from error

    async def count(self) -> int:
        answer = await self._call("GET", "count")
        if type(answer) is not int:
            raise unusable(TypeError(f"a count of {answer!r}"))
        return answer

    async def check(self) -> str | None:
        try:
            return self._adopt(await self._rest.call("GET", f"{_COLLECTIONS}/{COLLECTION}"))
        except UpstreamError as error:
            return error.message

    async def close(self) -> None:
        await self._rest.close()

    async def _call(self, method: str, what: str, body: Any = None) -> Any:
        """A call to the collection; once more where it has another id by now."""
        known = self._id or await self._look_up()
        try:
            return await self._rest.call(method, f"{_COLLECTIONS}/{known}/{what}", body)
        except CollectionMissingError:
            now = await self._look_up()
            if now == known:
                raise
            return await self._rest.call(method, f"{_COLLECTIONS}/{now}/{what}", body)

    async def _look_up(self) -> str:
        self._adopt(await self._rest.call("GET", f"{_COLLECTIONS}/{COLLECTION}"))
        assert self._id is not None  # an answer without an id is unusable
        return self._id

    def _adopt(self, collection: Any) -> str | None:
        """Note the collection's id; says why it does not fit, if it does not. Its first vector gives a collection its dimension."""
        try:
            fresh, dimension = str(collection["id"]), collection["dimension"]
        except (KeyError, TypeError) as error:
            raise unusable(error) from error
        if self._id not in (None, fresh):
            VECTOR_RECREATED.inc()
            self._log.warning("the collection was recreated", collection=COLLECTION, before=self._id, now=fresh)
        self._id = fresh
        if dimension in (None, DIMENSIONS):
            return None
        return f"the collection {COLLECTION!r} has vectors of {dimension} dimensions, not of {DIMENSIONS}"


def _columns(points: Sequence[Point]) -> dict[str, Any]:
    return {
        "ids": [point.id for point in points],
        "embeddings": [list(point.vector) for point in points],
        "documents": [point.text for point in points],
        "metadatas": [{"doc_id": point.doc_id, "chunk_id": point.chunk_id, "revision": point.revision} for point in points],
    }


def _hit(document: Any, metadata: Any, distance: Any) -> Hit:
    """Chroma measures cosine distance: 1 - similarity."""
    score = 1.0 - distance if isinstance(distance, (int, float)) else distance
    return Hit({**metadata, "text": document} if isinstance(metadata, dict) else None, score)
