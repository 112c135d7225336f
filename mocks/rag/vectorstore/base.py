"""What retrieval and document want of the place where chunks are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, TypedDict

from mocks.rag.common.checks import Check
from mocks.rag.document.chunking import Chunk
from mocks.rag.document.events import IngestEvent

VectorStoreName = Literal["pgvector", "qdrant", "chroma"]
DIMENSIONS = 384

Vector = Sequence[float]


class Result(TypedDict):
    """One chunk found; `score` is comparable only within one kind of search: cosine similarity, or a rank in [0, 1)."""

    doc_id: str
    chunk_id: str
    text: str
    score: float


class IndexRefusedError(Exception):
    """The store answered and would not take these chunks: trying again later is of no use."""


class VectorStore(Protocol):
    """Chunks with their vectors and words. All methods raise `UpstreamError` while what they need does not answer.

    Its `callee` says who: `vector` for a store of its own, `postgres` for the database.
    """

    @property
    def checks(self) -> Mapping[str, Check]:
        """Readiness of what it needs beside the database, by callee."""

    async def index(self, event: IngestEvent, chunks: Sequence[Chunk], vectors: Sequence[Vector]) -> bool:
        """Put these chunks in the place of the document's older ones; False where a newer revision is known.

        Events may come twice, late and in any order: an older one never brings its chunks back. One that raised may be repeated.
        Raises `IndexRefusedError`, and `psycopg.Error` for what the database refuses.
        """

    async def by_vector(self, embedding: Vector, top_k: int) -> list[Result]:
        """The chunks nearest to `embedding` (DIMENSIONS numbers), best first."""

    async def by_words(self, text: str, top_k: int) -> list[Result]:
        """The chunks that share most words with `text`, best first; none when they share none."""

    async def close(self) -> None:
        """Close the connections that are its own."""
