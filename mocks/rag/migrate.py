"""Creates the schema and loads the corpus: `python -m mocks.rag.migrate` with `DATABASE_URL` and `CORPUS_FILE`.

`VECTOR_STORE` says where the vectors go; one of its own is found through `REGISTRY_FILE`.

One transaction under an advisory lock, so that two starts at once, or one killed half-way, leave a whole database. Running it again
changes nothing but documents of the corpus whose text changed. Vectors come from the embedding service when `EMBEDDING_URL` is set, else
straight from the provider's embedding function, which is the same space without 1 200 texts over HTTP.

Prints one JSON line: `{"documents": n, "chunks": m}`, what the database holds afterwards.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psycopg
import structlog
from numpy.typing import NDArray

from mocks.rag.common.config import ConfigError
from mocks.rag.common.errors import UpstreamError
from mocks.rag.common.registry import Registry
from mocks.rag.document.chunking import chunk_document
from mocks.rag.vectorstore.base import DIMENSIONS
from mocks.rag.vectorstore.choice import chosen, open_points
from mocks.rag.vectorstore.loading import CORPUS_REVISION, Embed, SchemaMismatchError, Vectors, VectorsInDatabase, VectorsInStore

_LOCK_KEY = 0x5241475F4D494752
_EMBED_TIMEOUT_S = 30.0
_VECTOR_TIMEOUT_S = 30.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    doc_id text PRIMARY KEY,
    title text NOT NULL,
    text text NOT NULL,
    revision bigint NOT NULL,
    indexed_revision bigint,
    status text NOT NULL CHECK (status IN ('queued', 'spooled', 'indexed', 'dead')),
    chunks integer NOT NULL DEFAULT 0,
    error text,
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS documents_unsettled ON documents (updated_at) WHERE status IN ('queued', 'spooled');
CREATE TABLE IF NOT EXISTS chunks (
    chunk_id text PRIMARY KEY,
    doc_id text NOT NULL REFERENCES documents ON DELETE CASCADE,
    ordinal integer NOT NULL,
    text text NOT NULL,
    words tsvector GENERATED ALWAYS AS (to_tsvector('english', text)) STORED
);
CREATE INDEX IF NOT EXISTS chunks_doc_id ON chunks (doc_id);
"""

_SEARCH_INDEXES = """
CREATE INDEX IF NOT EXISTS chunks_words ON chunks USING gin (words);
ANALYZE documents, chunks;
"""


class InvalidCorpusError(Exception):
    """The corpus file is missing or a line of it is no document."""


@dataclass(frozen=True)
class CorpusDocument:
    """One line of `corpus.jsonl`; its `version` is not stored."""

    doc_id: str
    title: str
    text: str


def read_corpus(path: Path) -> list[CorpusDocument]:
    """The documents of a `corpus.jsonl`. Raises `InvalidCorpusError` with the line number."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InvalidCorpusError(f"{path}: {error.strerror}") from error
    return [_document(line, f"{path}:{number}") for number, line in enumerate(lines, start=1) if line.strip()]


def _document(line: str, where: str) -> CorpusDocument:
    try:
        fields = json.loads(line)
        return CorpusDocument(fields["doc_id"], fields["title"], fields["text"])
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidCorpusError(f"{where}: {type(error).__name__}: {error}") from error


def migrate(
    database_url: str, corpus: Sequence[CorpusDocument], embed: Embed, vectors_of: Callable[[Embed], Vectors] = VectorsInDatabase
) -> dict[str, int]:
    """Creates what is missing and loads new or changed documents; returns the counts of the whole database."""
    vectors = vectors_of(embed)
    with psycopg.connect(database_url, connect_timeout=10) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK_KEY])
        connection.execute(_SCHEMA.encode())
        vectors.prepare(connection)
        missing = _missing(connection, corpus)
        if missing:
            _load(connection, missing, vectors)
        vectors.complete(connection)
        connection.execute(_SEARCH_INDEXES.encode())
        row = connection.execute("SELECT (SELECT count(*) FROM documents), (SELECT count(*) FROM chunks)").fetchone()
        assert row is not None, "a SELECT without FROM answers one row"
        return {"documents": row[0], "chunks": row[1]}


def _missing(connection: psycopg.Connection[Any], corpus: Sequence[CorpusDocument]) -> list[CorpusDocument]:
    held = {row[0]: row[1:] for row in connection.execute("SELECT doc_id, title, text, revision FROM documents")}

    def is_missing(document: CorpusDocument) -> bool:
        title, text, revision = held.get(document.doc_id, (None, None, CORPUS_REVISION))
        return revision == CORPUS_REVISION and (title, text) != (document.title, document.text)

    return [document for document in corpus if is_missing(document)]


def _load(connection: psycopg.Connection[Any], documents: Sequence[CorpusDocument], vectors: Vectors) -> None:
    chunks = {document.doc_id: chunk_document(document.doc_id, document.title, document.text) for document in documents}
    connection.execute("DELETE FROM documents WHERE doc_id = ANY(%s)", [list(chunks)])
    cursor = connection.cursor()
    with cursor.copy("COPY documents (doc_id, title, text, revision, indexed_revision, status, chunks) FROM STDIN") as copy:
        for document in documents:
            count = len(chunks[document.doc_id])
            copy.write_row((document.doc_id, document.title, document.text, CORPUS_REVISION, CORPUS_REVISION, "indexed", count))
    vectors.load(connection, chunks)


def _provider_embed(texts: Sequence[str]) -> NDArray[np.float32]:
    from mocks.llm.hashing import embed  # only here: with EMBEDDING_URL the provider may be any other

    return np.stack([embed(text, DIMENSIONS) for text in texts])


def _service_embed(url: str) -> Embed:
    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        response = httpx.post(f"{url.rstrip('/')}/embed", json={"texts": list(texts)}, timeout=_EMBED_TIMEOUT_S)
        response.raise_for_status()
        return np.asarray(response.json()["embeddings"], dtype=np.float32)

    return embed


def _vectors(environment: Mapping[str, str]) -> Callable[[Embed], Vectors]:
    """By `VECTOR_STORE`. Raises ConfigError."""
    store = chosen(environment)
    if store == "pgvector":
        return VectorsInDatabase
    if not environment.get("REGISTRY_FILE"):
        raise ConfigError(f"REGISTRY_FILE is not set: {store} is found through it")
    registry = Registry(Path(environment["REGISTRY_FILE"]))
    return lambda embed: VectorsInStore(embed, lambda: open_points(store, registry, timeout_s=_VECTOR_TIMEOUT_S))


def main(environment: Mapping[str, str]) -> int:
    """Exit code: 0, 1 (database, vector store, embedding service or corpus), 2 (a variable is missing or cannot be used)."""
    missing = [name for name in ("DATABASE_URL", "CORPUS_FILE") if not environment.get(name)]
    if missing:
        print(f"migrate: set {' and '.join(missing)}", file=sys.stderr)
        return 2
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # stdout is for the answer
    try:
        vectors = _vectors(environment)
    except ConfigError as error:
        print(f"migrate: {error}", file=sys.stderr)
        return 2
    embedding_url = environment.get("EMBEDDING_URL")
    embed = _service_embed(embedding_url) if embedding_url else _provider_embed
    try:
        counts = migrate(environment["DATABASE_URL"], read_corpus(Path(environment["CORPUS_FILE"])), embed, vectors)
    except (InvalidCorpusError, SchemaMismatchError, UpstreamError, psycopg.Error, httpx.HTTPError) as error:
        print(f"migrate: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(json.dumps(counts))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(os.environ))
