"""Search in PostgreSQL: by vector (pgvector, HNSW, cosine) or by words (full text)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypedDict

from psycopg import AsyncConnection

EF_SEARCH = 80
"""Candidates that HNSW keeps in view; above the largest `top_k`, or fewer rows than asked for could come back."""

_BY_VECTOR = """
SELECT doc_id, chunk_id, text, 1 - (embedding <=> %(vector)s::vector) FROM chunks ORDER BY embedding <=> %(vector)s::vector LIMIT %(top_k)s
"""
# Any of the words, not all of them: a question holds words that its answer does not. Normalisation 32 maps the rank into [0, 1).
_BY_WORDS = """
WITH asked AS (SELECT replace(plainto_tsquery('english', %(text)s)::text, '&', '|')::tsquery AS query)
SELECT doc_id, chunk_id, text, ts_rank(words, query, 1 | 32) AS score FROM chunks, asked
WHERE words @@ query ORDER BY score DESC, chunk_id LIMIT %(top_k)s
"""


class Result(TypedDict):
    """One chunk found; `score` is in [0, 1], comparable only within one kind of search."""

    doc_id: str
    chunk_id: str
    text: str
    score: float


class Database(Protocol):
    """What the search needs of a pool (`common.db.Pool`)."""

    def connection(self) -> AbstractAsyncContextManager[AsyncConnection[Any]]:
        """A connection, within the pool's own time limits."""


class Search:
    """Both methods raise `UpstreamError` while the database does not answer; results come best first."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def by_vector(self, embedding: Sequence[float], top_k: int) -> list[Result]:
        """The chunks nearest to `embedding` (384 numbers)."""
        return await self._results(_BY_VECTOR, {"vector": json.dumps(embedding, separators=(",", ":")), "top_k": top_k})

    async def by_words(self, text: str, top_k: int) -> list[Result]:
        """The chunks that share most words with `text`; none when they share none."""
        return await self._results(_BY_WORDS, {"text": text, "top_k": top_k})

    async def _results(self, query: str, parameters: dict[str, Any]) -> list[Result]:
        async with self._database.connection() as connection:
            rows = await (await connection.execute(query.encode(), parameters)).fetchall()
        return [{"doc_id": row[0], "chunk_id": row[1], "text": row[2], "score": round(float(row[3]), 6)} for row in rows]
