"""Faults of data that rots where it lies: documents are lost, or the index still holds what they said before.

What was there waits in tables of the fault's own in the same database, and one statement puts it back. Where vectors are kept apart, with
texts of their own, their points wait in a collection of the fault's own in that store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from harness.faults.base import Evidence, FaultError, Undo
from harness.faults.data_target import CHUNKS, DOCUMENTS, DataFault, Known
from harness.faults.database_client import Connection, columns, connected, text
from harness.faults.points import Record
from harness.faults.points_aside import PointsAside, same
from harness.lazy import Lazy
from harness.scenario.catalog import FaultParameters, FaultSpec

if TYPE_CHECKING:
    from psycopg import sql
else:
    sql = Lazy("psycopg.sql")

WITNESSES = 20  # questions tried until one is found whose document comes up
_PUT_BACK_DELETED = """
DO $$ BEGIN
    IF to_regclass({kept_documents}) IS NOT NULL THEN
        INSERT INTO {documents} ({document_columns}) SELECT {document_columns} FROM {aside_documents} ON CONFLICT DO NOTHING;
        INSERT INTO {chunks} ({chunk_columns}) SELECT {chunk_columns} FROM {aside_chunks} AS kept
            WHERE NOT EXISTS (SELECT FROM {chunks} AS now WHERE now.doc_id = kept.doc_id) ON CONFLICT DO NOTHING;
        DROP TABLE {aside_documents}, {aside_chunks};
    END IF;
END $$
"""
_PUT_BACK_STALE = """
DO $$ BEGIN
    IF to_regclass({kept_chunks}) IS NOT NULL THEN
        UPDATE {chunks} AS now SET text = kept.text FROM {aside_chunks} AS kept
            WHERE kept.chunk_id = now.chunk_id AND now.text = kept.stale;
        DROP TABLE {aside_chunks};
    END IF;
END $$
"""


class ShareParameters(FaultParameters):
    """Parameters of faults of documents."""

    share: float = Field(
        default=0.5, description="of the documents that are asked about, drawn", gt=0, le=1, json_schema_extra={"unit": "ratio"}
    )


class RowFault(DataFault[ShareParameters]):
    """A fault of rows. Subclasses say what is done to them, and the statement that puts them back."""

    _hit: Sequence[Known] = ()
    _before = ""
    _points_before: Sequence[Record] = ()
    _witness: Known | None = None

    @property
    def points(self) -> PointsAside | None:
        """Of documents whose vectors are kept apart."""
        return None if self.points_at is None else PointsAside(self.points_at, self.name, self.context.clock)

    def spoil_points(self, points: PointsAside, records: Sequence[Record]) -> None:
        """The same, to the points of the documents."""
        raise NotImplementedError

    def put_back(self, connection: Connection) -> str:
        """Does nothing where nothing was put aside."""
        raise NotImplementedError

    def spoil(self, connection: Connection, hit: Sequence[Known]) -> None:
        """In a transaction: put rows aside, and change them."""
        raise NotImplementedError

    def undo(self) -> Sequence[Undo]:
        with connected(self.dsn) as connection:
            self.check_tables(connection)
            rows = self.sql_undo(self.put_back(connection))
        points = self.points
        return (rows,) if points is None else (rows, points.undo())

    def inject(self) -> None:
        with connected(self.dsn) as connection:
            self.check_tables(connection)
            if self._waits(connection):
                return
            hit = self.draw(self.parameters.share)
            ids = [known.doc_id for known in hit]
            self._witness = self._found_now(hit)
            self._before = self.fingerprint(connection, ids)
            self._points_before = [] if self.points is None else self.points.read(ids)
            with connection.transaction():
                self.spoil(connection, hit)
            self._hit = hit
            if self.points is not None:
                self.spoil_points(self.points, self._points_before)

    def heal(self) -> None:
        with connected(self.dsn, default_transaction_read_only="off") as connection:
            if not self._waits(connection):
                return
            connection.execute(self.put_back(connection).encode())
            if self.points is not None:
                self.points.put_back()
        self.forget_copies()

    def gone(self) -> Evidence | None:
        with connected(self.dsn) as connection:
            now = self.fingerprint(connection, [known.doc_id for known in self._hit])
            if self._waits(connection) or (self._hit and now != self._before):
                return None
        if self.points is not None and self._hit and not same(self._points_before, self.points.read([known.doc_id for known in self._hit])):
            return None
        if self._witness is not None and not self.comes_up(self._witness):
            return None
        told = {"documents": len(self._hit), "rows_as_before": True, **({"points": len(self._points_before)} if self.points else {})}
        self._hit, self._points_before, self._witness = (), (), None
        return told

    def comes_up(self, known: Known) -> bool:
        """Whether a search finds the document, with what it says."""
        return any(found["doc_id"] == known.doc_id and known.canary in str(found["text"]) for found in self.api.search(known.question))

    def names(self, connection: Connection) -> Mapping[str, sql.Composable]:
        """What statements call things."""
        aside = {table: f"{self.object_name}_{table}" for table in (DOCUMENTS, CHUNKS)}
        return {
            "documents": sql.Identifier(DOCUMENTS),
            "chunks": sql.Identifier(CHUNKS),
            "aside_documents": sql.Identifier(aside[DOCUMENTS]),
            "aside_chunks": sql.Identifier(aside[CHUNKS]),
            "kept_documents": sql.Literal(aside[DOCUMENTS]),
            "kept_chunks": sql.Literal(aside[CHUNKS]),
            "document_columns": _list(columns(connection, DOCUMENTS)),
            "chunk_columns": _list(columns(connection, CHUNKS)),
        }

    def _found_now(self, hit: Sequence[Known]) -> Known:
        """A question that is answered while all is well. Raises FaultError where none of those tried is."""
        for known in hit[:WITNESSES]:
            if self.comes_up(known):
                return known
        raise FaultError(f"none of {min(len(hit), WITNESSES)} questions finds its document even now: nothing could be proved")

    def _waits(self, connection: Connection) -> bool:
        """Whether rows, or points, wait to be put back."""
        row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (f"{self.object_name}_{CHUNKS}",)).fetchone()
        return bool(row and row[0]) or (self.points is not None and self.points.waiting)


def _list(names: Sequence[str]) -> sql.Composable:
    return sql.SQL(", ").join(sql.Identifier(name) for name in names)


class DeletedDocuments(RowFault):
    """Documents and their chunks are gone, as after a clean-up with the wrong condition."""

    spec = FaultSpec(
        name="data.deleted_documents",
        summary="Deletes documents that are asked about, with all that was indexed of them.",
        kind="data",
        parameters=ShareParameters,
        targets=("service",),
        needs=("Documented",),
        evidence="a search that found its document before does not; gone: it does, and all rows (MD5) and points are as before",
        example="{id: lost, type: data.deleted_documents, target: postgres, at: fault, for: 40s, with: {share: 0.5}}",
        recoverable_by=("reindex",),
        only_roles=("postgres", "vector"),
    )

    def put_back(self, connection: Connection) -> str:
        return text(sql.SQL(_PUT_BACK_DELETED), **self.names(connection))

    def spoil(self, connection: Connection, hit: Sequence[Known]) -> None:
        names, ids = self.names(connection), sql.Literal([known.doc_id for known in hit])
        for statement in (
            "CREATE TABLE {aside_documents} AS SELECT {document_columns} FROM {documents} WHERE doc_id = ANY({ids})",
            "CREATE TABLE {aside_chunks} AS SELECT {chunk_columns} FROM {chunks} WHERE doc_id = ANY({ids})",
            "DELETE FROM {chunks} WHERE doc_id = ANY({ids})",
            "DELETE FROM {documents} WHERE doc_id = ANY({ids})",
        ):
            connection.execute(text(sql.SQL(statement), ids=ids, **names).encode())

    def spoil_points(self, points: PointsAside, records: Sequence[Record]) -> None:
        points.remove(records)

    def verify(self) -> Evidence | None:
        if self._witness is None or not self._hit:
            return None
        found = [str(source["doc_id"]) for source in self.api.search(self._witness.question)]
        if self._witness.doc_id in found:
            return None
        return {"question": self._witness.question, "gold": self._witness.doc_id, "found": found, "documents": len(self._hit)}


class StaleIndex(RowFault):
    """The index answers with what documents said before their last change: the documents themselves are right."""

    spec = FaultSpec(
        name="data.stale_index",
        summary="Puts the index back to an earlier version of documents: their chunks hold another fact than the documents state.",
        kind="data",
        parameters=ShareParameters,
        targets=("service",),
        needs=("Documented",),
        evidence="a search finds the document with another fact; gone: with the right one, and all rows (MD5) and points are as before",
        example="{id: stale, type: data.stale_index, target: postgres, at: fault, for: 40s, with: {share: 0.5}}",
        recoverable_by=("reindex",),
        only_roles=("postgres", "vector"),
    )

    _codes: Mapping[str, str] = {}  # what each document is made to say, by its id

    def put_back(self, connection: Connection) -> str:
        return text(sql.SQL(_PUT_BACK_STALE), **self.names(connection))

    def spoil(self, connection: Connection, hit: Sequence[Known]) -> None:
        names = self.names(connection)
        connection.execute(text(sql.SQL("CREATE TABLE {aside_chunks} (chunk_id text, text text, stale text)"), **names).encode())
        change = text(
            sql.SQL(
                "INSERT INTO {aside_chunks} SELECT chunk_id, text, replace(text, %(now)s, %(before)s) FROM {chunks}"
                " WHERE doc_id = %(doc_id)s AND strpos(text, %(now)s) > 0"
            ),
            **names,
        ).encode()
        self._codes = {known.doc_id: self.other_code(known) for known in hit}
        for known in hit:
            connection.execute(change, {"now": known.canary, "before": self._codes[known.doc_id], "doc_id": known.doc_id})
        connection.execute(
            text(
                sql.SQL("UPDATE {chunks} AS now SET text = kept.stale FROM {aside_chunks} AS kept WHERE kept.chunk_id = now.chunk_id"),
                **names,
            ).encode()
        )

    def spoil_points(self, points: PointsAside, records: Sequence[Record]) -> None:
        canaries = {known.doc_id: known.canary for known in self._hit}
        points.rewrite(records, {one.id: one.text.replace(canaries[one.doc_id], self._codes[one.doc_id]) for one in records})

    def verify(self) -> Evidence | None:
        if self._witness is None or not self._hit or self.comes_up(self._witness):
            return None
        found = [str(source["doc_id"]) for source in self.api.search(self._witness.question)]
        if self._witness.doc_id not in found:
            return None  # it is not stale, it is not there
        return {"question": self._witness.question, "gold": self._witness.doc_id, "fact_found": False, "documents": len(self._hit)}


FAULTS = (DeletedDocuments, StaleIndex)
