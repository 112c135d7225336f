"""Vectors beside the words in PostgreSQL (pgvector, HNSW, cosine): one transaction changes both."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from mocks.rag.common.checks import Check
from mocks.rag.document.chunking import Chunk
from mocks.rag.document.events import IngestEvent
from mocks.rag.vectorstore import table
from mocks.rag.vectorstore.base import Result, Vector
from mocks.rag.vectorstore.table import Database

EF_SEARCH = 80
"""Candidates that HNSW keeps in view; above the largest `top_k`, or fewer rows than asked for could come back."""

_BY_VECTOR = """
SELECT doc_id, chunk_id, text, 1 - (embedding <=> %(vector)s::vector) FROM chunks ORDER BY embedding <=> %(vector)s::vector LIMIT %(top_k)s
"""
_INSERT = "INSERT INTO chunks (chunk_id, doc_id, ordinal, text, embedding) VALUES (%s, %s, %s, %s, %s::vector)"


class PgVectorStore:
    """`VectorStore` in the database that keeps the documents."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def checks(self) -> Mapping[str, Check]:
        """None: the database is checked by whoever owns the pool."""
        return {}

    async def index(self, event: IngestEvent, chunks: Sequence[Chunk], vectors: Sequence[Vector]) -> bool:
        rows = [
            (chunk.chunk_id, chunk.doc_id, chunk.ordinal, chunk.text, _text(vector)) for chunk, vector in zip(chunks, vectors, strict=True)
        ]
        return await table.replace_chunks(self._database, event, _INSERT, rows)

    async def by_vector(self, embedding: Vector, top_k: int) -> list[Result]:
        return await table.results(self._database, _BY_VECTOR, {"vector": _text(embedding), "top_k": top_k})

    async def by_words(self, text: str, top_k: int) -> list[Result]:
        return await table.by_words(self._database, text, top_k)

    async def close(self) -> None:
        """Nothing: the pool is its owner's."""


def _text(vector: Vector) -> str:
    """pgvector's text format, which is JSON's."""
    return json.dumps(list(vector), separators=(",", ":"))
