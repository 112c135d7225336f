"""Where the vectors of a whole corpus go, for the migration: into the database's own transaction, or into a store beside it."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
import psycopg
from numpy.typing import NDArray

from mocks.rag.document.chunking import Chunk
from mocks.rag.vectorstore.base import DIMENSIONS
from mocks.rag.vectorstore.points import Point, PointStore

T = TypeVar("T")

CORPUS_REVISION = 0
"""Below every revision of an upload: a corpus loaded again never overwrites what a client uploaded since."""

_EMBED_BATCH = 128

Connection = psycopg.Connection[Any]
Embed = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts → float32 array of shape (texts, DIMENSIONS), unit vectors."""


Chunked = Mapping[str, Sequence[Chunk]]
"""Documents' chunks by doc_id."""


class SchemaMismatchError(Exception):
    """The database was made for vectors somewhere else."""


class Vectors(Protocol):
    """Used inside of one transaction, which changes nothing when one of these raises."""

    def prepare(self, connection: Connection) -> None:
        """Make room for vectors; the table `chunks` is there. Raises `SchemaMismatchError`, and `UpstreamError` of a store."""

    def load(self, connection: Connection, documents: Chunked) -> None:
        """Insert the chunks, with their vectors, of documents that have none in the database."""

    def complete(self, connection: Connection) -> None:
        """When everything is loaded: indexes, and what a store has lost since it was last looked at."""


class VectorsInDatabase:
    """A column of `chunks`, with an HNSW index."""

    def __init__(self, embed: Embed) -> None:
        self._embed = embed

    def prepare(self, connection: Connection) -> None:
        if _has_vectors(connection):
            return
        if connection.execute("SELECT 1 FROM chunks LIMIT 1").fetchone() is not None:
            raise SchemaMismatchError("the database keeps its vectors in a store of their own; VECTOR_STORE says pgvector")
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        connection.execute(f"ALTER TABLE chunks ADD COLUMN embedding vector({DIMENSIONS}) STORAGE PLAIN NOT NULL".encode())

    def load(self, connection: Connection, documents: Chunked) -> None:
        """In pgvector's binary format: int16 dimensions, int16 zero, float32 values, all big-endian."""
        header = struct.pack(">HH", DIMENSIONS, 0)
        with connection.cursor().copy("COPY chunks (chunk_id, doc_id, ordinal, text, embedding) FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(["text", "text", "int4", "text", "bytea"])
            for batch, vectors in _embedded(_flat(documents), self._embed):
                for chunk, vector in zip(batch, vectors.astype(">f4"), strict=True):
                    copy.write_row((chunk.chunk_id, chunk.doc_id, chunk.ordinal, chunk.text, header + vector.tobytes()))

    def complete(self, connection: Connection) -> None:
        """Indexed after the load: an HNSW graph built once is several times cheaper than one grown row by row."""
        hnsw = "hnsw (embedding vector_cosine_ops) WITH (m = 16, ef_construction = 64)"
        connection.execute(f"CREATE INDEX IF NOT EXISTS chunks_embedding ON chunks USING {hnsw}".encode())


class VectorsInStore:
    """A collection of a store. It is written before the transaction is committed: what is committed is findable.

    `open_points` is asked for each piece of work, for connections live on an event loop and this is no asynchronous program.
    """

    def __init__(self, embed: Embed, open_points: Callable[[], PointStore]) -> None:
        self._embed = embed
        self._open_points = open_points

    def prepare(self, connection: Connection) -> None:
        if _has_vectors(connection):
            raise SchemaMismatchError("the database keeps its vectors itself; VECTOR_STORE says that they are elsewhere")
        self._run(lambda points: points.ensure())

    def load(self, connection: Connection, documents: Chunked) -> None:
        with connection.cursor().copy("COPY chunks (chunk_id, doc_id, ordinal, text) FROM STDIN") as copy:
            for chunk in _flat(documents):
                copy.write_row((chunk.chunk_id, chunk.doc_id, chunk.ordinal, chunk.text))

        async def replace(points: PointStore) -> None:
            await points.remove(list(documents))  # a changed document of the same revision may have fewer chunks than before
            await _put(points, [(chunk, CORPUS_REVISION) for chunk in _flat(documents)], self._embed)

        self._run(replace)

    def complete(self, connection: Connection) -> None:
        """Put everything again where the store holds less than the database knows of: it has lost its data, or is another one."""
        if self._run(lambda points: points.count()) >= _count(connection):
            return
        # Nobody may index a newer revision meanwhile: its older points, put here after it, would stay for good.
        connection.execute("LOCK TABLE documents IN SHARE ROW EXCLUSIVE MODE")
        query = "SELECT chunk_id, doc_id, ordinal, chunks.text, indexed_revision FROM chunks JOIN documents USING (doc_id)"
        known = [(Chunk(*row[:4]), row[4]) for row in connection.execute(query)]
        self._run(lambda points: _put(points, known, self._embed))

    def _run(self, work: Callable[[PointStore], Awaitable[T]]) -> T:
        async def with_points() -> T:
            points = self._open_points()
            try:
                return await work(points)
            finally:
                await points.close()

        return asyncio.run(with_points())


async def _put(points: PointStore, known: Sequence[tuple[Chunk, int]], embed: Embed) -> None:
    revision_of = {chunk.chunk_id: revision for chunk, revision in known}
    for batch, vectors in _embedded([chunk for chunk, _ in known], embed):
        await points.put(
            [
                Point(chunk.doc_id, chunk.chunk_id, revision_of[chunk.chunk_id], chunk.text, vector.tolist())
                for chunk, vector in zip(batch, vectors, strict=True)
            ]
        )


def _embedded(chunks: Sequence[Chunk], embed: Embed) -> Iterator[tuple[Sequence[Chunk], NDArray[np.float32]]]:
    for start in range(0, len(chunks), _EMBED_BATCH):
        batch = chunks[start : start + _EMBED_BATCH]
        vectors = np.asarray(embed([chunk.text for chunk in batch]), dtype=np.float32)
        if vectors.shape != (len(batch), DIMENSIONS):
            raise ValueError(f"embeddings of shape {vectors.shape}, expected {(len(batch), DIMENSIONS)}")
        yield batch, vectors


def _flat(documents: Chunked) -> list[Chunk]:
    return [chunk for chunks in documents.values() for chunk in chunks]


def _has_vectors(connection: Connection) -> bool:
    query = "SELECT 1 FROM pg_attribute WHERE attrelid = 'chunks'::regclass AND attname = 'embedding' AND NOT attisdropped"
    return connection.execute(query).fetchone() is not None


def _count(connection: Connection) -> int:
    row = connection.execute("SELECT count(*) FROM chunks").fetchone()
    assert row is not None, "a count answers one row"
    return int(row[0])
