"""What became of each document, in PostgreSQL; its chunks are the vector store's.

Every write names the revision it speaks of and changes nothing newer, so events may come twice, late or in any order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mocks.rag.document.events import IngestEvent
from mocks.rag.vectorstore.table import Database

Status = Literal["queued", "spooled", "indexed", "dead"]

_ACCEPT = """
INSERT INTO documents (doc_id, title, text, revision, status) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (doc_id) DO UPDATE SET title = EXCLUDED.title, text = EXCLUDED.text, revision = EXCLUDED.revision, status = EXCLUDED.status,
    error = NULL, updated_at = now()
WHERE documents.revision < EXCLUDED.revision
"""
_BURY = """
INSERT INTO documents (doc_id, title, text, revision, status, error) VALUES (%s, %s, %s, %s, 'dead', %s)
ON CONFLICT (doc_id) DO UPDATE SET revision = EXCLUDED.revision, status = 'dead', error = EXCLUDED.error, updated_at = now()
WHERE documents.revision < EXCLUDED.revision OR (documents.revision = EXCLUDED.revision AND documents.status <> 'indexed')
"""
_LEFT_SPOOL = "UPDATE documents SET status = 'queued', updated_at = now() WHERE doc_id = %s AND revision = %s AND status = 'spooled'"
_UNSETTLED = """
SELECT doc_id, title, text, revision FROM documents
WHERE status IN ('queued', 'spooled') AND updated_at < now() - make_interval(secs => %s) ORDER BY revision LIMIT %s
"""


@dataclass(frozen=True)
class DocumentState:
    """What `GET /documents/{doc_id}` answers."""

    doc_id: str
    status: Status
    chunks: int


class DocumentStore:
    """All methods raise `UpstreamError` while the database does not answer, and `psycopg.Error` for what it refuses."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def accept(self, event: IngestEvent, status: Status) -> None:
        """Notes a new document, unless this revision, or a newer one, has got further already."""
        async with self._database.connection() as connection:
            await connection.execute(_ACCEPT, (event.doc_id, event.title, event.text, event.revision, status))

    async def bury(self, event: IngestEvent, reason: str) -> None:
        """Marks a document that cannot be indexed."""
        async with self._database.connection() as connection:
            await connection.execute(_BURY, (event.doc_id, event.title, event.text, event.revision, reason))

    async def left_spool(self, event: IngestEvent) -> None:
        """`spooled` → `queued`."""
        async with self._database.connection() as connection:
            await connection.execute(_LEFT_SPOOL, (event.doc_id, event.revision))

    async def unsettled(self, older_than_s: float, limit: int) -> list[IngestEvent]:
        """Documents neither indexed nor dead since `older_than_s`, oldest first."""
        async with self._database.connection() as connection:
            rows = await (await connection.execute(_UNSETTLED, (older_than_s, limit))).fetchall()
        return [IngestEvent(*row) for row in rows]

    async def latest_revision(self) -> int:
        """The largest revision that is known, 0 without documents."""
        async with self._database.connection() as connection:
            row = await (await connection.execute("SELECT coalesce(max(revision), 0) FROM documents")).fetchone()
        return int(row[0]) if row else 0

    async def state(self, doc_id: str) -> DocumentState | None:
        """None for a document that is not known."""
        async with self._database.connection() as connection:
            cursor = await connection.execute("SELECT doc_id, status, chunks FROM documents WHERE doc_id = %s", (doc_id,))
            row = await cursor.fetchone()
        return DocumentState(*row) if row else None
