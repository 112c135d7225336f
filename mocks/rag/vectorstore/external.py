"""Vectors in a store of their own; the documents' state and the index of words stay in PostgreSQL.

No transaction spans both, so the order of the steps carries the promise: points of the new revision first, under ids of their own; then
the database claims the revision; then the points that lost are removed. Whatever fails in between, the event is still unacknowledged and
comes again, and every step may be repeated. What is refused may become a dead letter instead, so that its points are removed at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

import psycopg

from mocks.rag.common.checks import Check
from mocks.rag.common.errors import UpstreamError
from mocks.rag.document.chunking import Chunk
from mocks.rag.document.events import IngestEvent
from mocks.rag.vectorstore import table
from mocks.rag.vectorstore.base import IndexRefusedError, Result, Vector
from mocks.rag.vectorstore.hits import accepted
from mocks.rag.vectorstore.points import CALLEE, Point, PointStore, StoreRefusedError
from mocks.rag.vectorstore.table import Database

_INSERT_CHUNK = "INSERT INTO chunks (chunk_id, doc_id, ordinal, text) VALUES (%s, %s, %s, %s)"


class ExternalVectorStore:
    """`VectorStore` of a `PointStore` and a database."""

    def __init__(self, points: PointStore, database: Database) -> None:
        self._points = points
        self._database = database

    @property
    def checks(self) -> Mapping[str, Check]:
        return {CALLEE: self._points.check}

    async def index(self, event: IngestEvent, chunks: Sequence[Chunk], vectors: Sequence[Vector]) -> bool:
        known = await table.revisions(self._database, event.doc_id)
        if known is not None and known[0] > event.revision:
            await self._remove_losers(event)
            return False
        rows = [(chunk.chunk_id, chunk.doc_id, chunk.ordinal, chunk.text) for chunk in chunks]
        try:
            await self._points.put(_points(event, chunks, vectors))
            claimed = await table.replace_chunks(self._database, event, _INSERT_CHUNK, rows)
        except (StoreRefusedError, psycopg.Error) as error:
            await self._remove_refused(event)
            if isinstance(error, StoreRefusedError):
                raise IndexRefusedError(error.message) from error
            raise
        await self._remove_losers(event)
        return claimed

    async def by_vector(self, embedding: Vector, top_k: int) -> list[Result]:
        hits = await self._points.nearest(embedding, top_k)
        results = accepted(hits)
        if hits and not results:  # no answer at all, and words may give one; an honest "nothing is near" is empty to begin with
            raise UpstreamError(CALLEE, "error", f"none of {len(hits)} hits can be used")
        return results

    async def by_words(self, text: str, top_k: int) -> list[Result]:
        return await table.by_words(self._database, text, top_k)

    async def close(self) -> None:
        await self._points.close()

    async def _remove_refused(self, event: IngestEvent) -> None:
        """What was written of an event that may never come again: it would hide the document's chunks that are in force."""
        with suppress(StoreRefusedError):  # then the first refusal is the one to tell
            await self._remove_losers(event)

    async def _remove_losers(self, event: IngestEvent) -> None:
        """Points of the document that are not, or no longer, in force: older ones, and this event's own where a newer one was accepted.

        What is newer than the revision in force and not this event's may be somebody's who has not come to the claim yet.
        """
        known = await table.revisions(self._database, event.doc_id)
        in_force = known[1] if known is not None else -1
        await self._points.remove([event.doc_id], below=in_force)
        if event.revision > in_force:
            await self._points.remove([event.doc_id], exactly=event.revision)


def _points(event: IngestEvent, chunks: Sequence[Chunk], vectors: Sequence[Vector]) -> list[Point]:
    return [Point(chunk.doc_id, chunk.chunk_id, event.revision, chunk.text, vector) for chunk, vector in zip(chunks, vectors, strict=True)]
