"""Points in Qdrant, over its REST interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mocks.rag.common.errors import UpstreamError
from mocks.rag.vectorstore.base import DIMENSIONS, Vector
from mocks.rag.vectorstore.points import COLLECTION, POINTS_PER_REQUEST, CollectionMissingError, Hit, Point, StoreRefusedError
from mocks.rag.vectorstore.rest import Rest, unusable

_PATH = f"/collections/{COLLECTION}"
_INDEXED_FIELDS = {"doc_id": "keyword", "revision": "integer"}
"""What points are removed by: without an index each removal would look at every point."""


def reason(answer: Any) -> str:
    """Of an error's body: `{"status": {"error": "…"}, "time": …}`."""
    return str(answer["status"]["error"])


class QdrantPoints:
    """`PointStore` on the collection `chunks`."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    async def ensure(self) -> None:
        try:
            size = await self._size()
        except CollectionMissingError:
            size = DIMENSIONS
            await self._rest.call("PUT", _PATH, {"vectors": {"size": size, "distance": "Cosine"}})
        if size != DIMENSIONS:
            raise StoreRefusedError(_misfit(size))
        for field, schema in _INDEXED_FIELDS.items():  # also of a collection that is there: its maker may have been killed before
            await self._rest.call("PUT", f"{_PATH}/index?wait=true", {"field_name": field, "field_schema": schema})

    async def put(self, points: Sequence[Point]) -> None:
        for start in range(0, len(points), POINTS_PER_REQUEST):
            batch = [_document(point) for point in points[start : start + POINTS_PER_REQUEST]]
            await self._rest.call("PUT", f"{_PATH}/points?wait=true", {"points": batch})

    async def remove(self, doc_ids: Sequence[str], *, below: int | None = None, exactly: int | None = None) -> None:
        must: list[dict[str, Any]] = [{"key": "doc_id", "match": {"any": list(doc_ids)}}]
        if below is not None:
            must.append({"key": "revision", "range": {"lt": below}})
        if exactly is not None:
            must.append({"key": "revision", "match": {"value": exactly}})
        await self._rest.call("POST", f"{_PATH}/points/delete?wait=true", {"filter": {"must": must}})

    async def nearest(self, vector: Vector, top_k: int) -> list[Hit]:
        answer = await self._rest.call("POST", f"{_PATH}/points/query", {"query": list(vector), "limit": top_k, "with_payload": True})
        try:
            return [Hit(point.get("payload"), point.get("score")) for point in answer["result"]["points"]]
        except (KeyError, TypeError, AttributeError) as error:
            raise unusable(error) from error

    async def count(self) -> int:
        answer = await self._rest.call("POST", f"{_PATH}/points/count", {"exact": True})
        try:
            return int(answer["result"]["count"])
        except (KeyError, TypeError, ValueError) as error:
            raise unusable(error) from error

    async def check(self) -> str | None:
        try:
            size = await self._size()
        except UpstreamError as error:
            return error.message
        return None if size == DIMENSIONS else _misfit(size)

    async def close(self) -> None:
        await self._rest.close()

    async def _size(self) -> Any:
        answer = await self._rest.call("GET", _PATH)
        try:
            return answer["result"]["config"]["params"]["vectors"]["size"]
        except (KeyError, TypeError) as error:
            raise unusable(error) from error


def _document(point: Point) -> dict[str, Any]:
    payload = {"doc_id": point.doc_id, "chunk_id": point.chunk_id, "text": point.text, "revision": point.revision}
    return {"id": point.id, "vector": list(point.vector), "payload": payload}


def _misfit(size: object) -> str:
    return f"the collection {COLLECTION!r} has vectors of {size} dimensions, not of {DIMENSIONS}"
