"""Documents and their chunks in PostgreSQL: the revision in force and the index of words, whatever keeps the vectors."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from psycopg import AsyncConnection

from mocks.rag.document.events import IngestEvent
from mocks.rag.vectorstore.base import Result

_CLAIM = """
INSERT INTO documents (doc_id, title, text, revision, status, chunks, indexed_revision)
VALUES (%(doc_id)s, %(title)s, %(text)s, %(revision)s, 'indexed', %(chunks)s, %(revision)s)
ON CONFLICT (doc_id) DO UPDATE SET title = EXCLUDED.title, text = EXCLUDED.text, revision = EXCLUDED.revision, status = 'indexed',
    chunks = EXCLUDED.chunks, indexed_revision = EXCLUDED.indexed_revision, error = NULL, updated_at = now()
WHERE documents.revision <= EXCLUDED.revision
RETURNING doc_id
"""
# Any of the words, not all of them: a question holds words that its answer does not. Normalisation 32 maps the rank into [0, 1).
_BY_WORDS = """
WITH asked AS (SELECT replace(plainto_tsquery('english', %(text)s)::text, '&', '|')::tsquery AS query)
SELECT doc_id, chunk_id, text, ts_rank(words, query, 1 | 32) AS score FROM chunks, asked
WHERE words @@ query ORDER BY score DESC, chunk_id LIMIT %(top_k)s
"""


class Database(Protocol):
    """What is needed of a pool (`common.db.Pool`)."""

    def connection(self) -> AbstractAsyncContextManager[AsyncConnection[Any]]:
        """A connection in autocommit mode, within the pool's own time limits."""


async def replace_chunks(database: Database, event: IngestEvent, insert: str, rows: Sequence[tuple[Any, ...]]) -> bool:
    """Replace a document's chunks in one transaction; False, and no change, when a newer revision is there.

    `insert` is the statement for one of `rows`.
    """
    row = {"doc_id": event.doc_id, "title": event.title, "text": event.text, "revision": event.revision, "chunks": len(rows)}
    async with database.connection() as connection, connection.transaction():
        claimed = await connection.execute(_CLAIM, row)
        if await claimed.fetchone() is None:
            return False
        await connection.execute("DELETE FROM chunks WHERE doc_id = %s", (event.doc_id,))
        async with connection.cursor() as cursor:
            await cursor.executemany(insert.encode(), rows)
    return True


async def revisions(database: Database, doc_id: str) -> tuple[int, int] | None:
    """The newest revision that was accepted, and the one whose chunks are in force (-1: none yet); None for an unknown document."""
    query = "SELECT revision, coalesce(indexed_revision, -1) FROM documents WHERE doc_id = %s"
    async with database.connection() as connection:
        row = await (await connection.execute(query, (doc_id,))).fetchone()
    return (int(row[0]), int(row[1])) if row is not None else None


async def by_words(database: Database, text: str, top_k: int) -> list[Result]:
    """The chunks that share most words with `text`, best first."""
    return await results(database, _BY_WORDS, {"text": text, "top_k": top_k})


async def results(database: Database, query: str, parameters: dict[str, Any]) -> list[Result]:
    """The rows of a query for doc_id, chunk_id, text and score."""
    async with database.connection() as connection:
        rows = await (await connection.execute(query.encode(), parameters)).fetchall()
    return [{"doc_id": row[0], "chunk_id": row[1], "text": row[2], "score": round(float(row[3]), 6)} for row in rows]
