"""What faults share that come in by the front door: documents handed in through the public interface, and taken out again for good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from harness.faults.base import Evidence, FaultError, Parameters, Undo
from harness.faults.data_target import CHUNKS, DOCUMENTS, PURGE, DataFault, service_of
from harness.faults.database_client import Connection, connected, text
from harness.faults.points import collection
from harness.faults.points_aside import named
from harness.faults.undo import execute
from harness.lazy import Lazy
from harness.stack.base import StackError

if TYPE_CHECKING:
    from psycopg import sql
else:
    sql = Lazy("psycopg.sql")

QUIET_S = 1.0
"""What an indexer had in hand when its queue was purged is stored within that, and removed then."""


class IngestFault(DataFault[Parameters]):
    """Its documents are called `<name>-<number>`: by that they are found everywhere, and nothing else is."""

    def doc_id(self, number: int) -> str:
        return f"{self.name}-{number}"

    def undo(self) -> Sequence[Undo]:
        """Carried out from the last to the first: nothing comes any more, then what waits is dropped, then what was stored."""
        return (*self._points_undo(), self.sql_undo(*self._removals(), quiet_s=QUIET_S), *self._purge())

    def remove(self) -> bool:
        """Take everything out, and what services remember of it. False where there was nothing. Raises FaultError."""
        if not self.left():
            return False
        for entry in reversed(IngestFault.undo(self)):
            done = execute(entry, Path())
            if not done.ok:
                raise FaultError(f"taking the documents out: {done.detail}")
        self.forget_copies()
        return True

    def left(self) -> int:
        """Rows of its documents and chunks, and points."""
        with connected(self.dsn) as connection:
            self.check_tables(connection)
            rows = sum(self._count(connection, table) for table in (DOCUMENTS, CHUNKS))
        at = self.points_at
        return rows if at is None else rows + len(named(collection(at, self.context.clock), f"{self.name}-"))

    def nothing_left(self) -> Evidence | None:
        """That nothing of it is stored or found."""
        return {"rows_left": 0} if not self.left() else None

    def _count(self, connection: Connection, table: str) -> int:
        query = text(sql.SQL("SELECT count(*) FROM {table} WHERE starts_with(doc_id, %s)"), table=sql.Identifier(table))
        row = connection.execute(query.encode(), (f"{self.name}-",)).fetchone()
        return int(row[0]) if row else 0

    def _points_undo(self) -> list[Undo]:
        """Where vectors are kept apart."""
        at = self.points_at
        return [] if at is None else [Undo("points", {**asdict(at), "prefix": f"{self.name}-", "quiet_s": QUIET_S})]

    def _removals(self) -> list[str]:
        prefix = sql.Literal(f"{self.name}-")
        removal = sql.SQL("DELETE FROM {table} WHERE starts_with(doc_id, {prefix})")
        return [text(removal, table=sql.Identifier(table), prefix=prefix) for table in (CHUNKS, DOCUMENTS)]

    def _purge(self) -> list[Undo]:
        """Events that wait in a stream; none where the stack has no such service."""
        stack = self.context.stack
        queue = service_of(stack, "redis")
        if queue is None:
            return []
        try:
            urls = [instance.url for instance in stack.instances(queue)]
        except StackError as error:
            raise FaultError(str(error)) from error
        return [Undo("redis", {"url": url, "commands": [["EVAL", PURGE, 0, f"{self.name}-"]]}) for url in urls]
