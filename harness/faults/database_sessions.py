"""Faults that other sessions of a database are to blame for: they hold its locks."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from harness.faults.base import Evidence, FaultError, Parameters, Undo
from harness.faults.database_client import (
    Connection,
    DatabaseFault,
    connected,
    end_named,
    hot_tables,
    idle_write,
    known_tables,
    open_session,
    text,
)
from harness.lazy import Lazy
from harness.record.clock import NS_PER_S
from harness.scenario.catalog import FaultParameters, FaultSpec
from harness.scenario.model import Duration

if TYPE_CHECKING:
    import psycopg
    from psycopg import errors, sql
else:
    psycopg = Lazy("psycopg")
    errors = Lazy("psycopg.errors")
    sql = Lazy("psycopg.sql")

LOCK_WITHIN_S = 5
WAITS_MS = 200  # a look waits no longer for a lock
ENDS_WITHIN_S = 10.0


class TablesParameters(FaultParameters):
    """Which tables."""

    tables: tuple[str, ...] = Field(
        default=(), description="tables that are locked, as SQL names them; default: the two most used", max_length=50
    )


_DEFAULT_COUNT = 2


class LockingFault(DatabaseFault[Parameters]):
    """A fault of one session that holds locks. It ends with that session: with the harness, by anybody who ends it, or by a restart."""

    _session: Connection | None = None
    _tables: Sequence[str] = ()

    def undo(self) -> Sequence[Undo]:
        return (self.sql_undo(end_named(self.name)),)

    def open(self, tables: Sequence[str]) -> Connection:
        """The session, and the tables to lock. The database ends it itself, should everybody else be gone."""
        with connected(self.dsn) as connection:
            self._tables = known_tables(connection, tables) or hot_tables(connection, _DEFAULT_COUNT)
        timeouts = {"lock_timeout": f"{LOCK_WITHIN_S}s", "statement_timeout": 0}
        ends_ms = round(self.context.ttl_s * 1e3)
        self._session = open_session(self.dsn, self.name, **timeouts, idle_in_transaction_session_timeout=ends_ms)
        return self._session

    def end(self) -> None:
        self.run([end_named(self.name)])
        if self._session is not None:
            self._session.close()
            self._session = None

    def ended(self, connection: Connection) -> bool:
        """Whether the database knows no session of this fault any more."""
        row = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", (self.name,)).fetchone()
        return row == (0,)

    def waits_s(self, connection: Connection, statement: str, at_most_ms: int = WAITS_MS) -> float | None:
        """Seconds that a statement takes; None where it would have to wait longer for a lock."""
        connection.execute(f"SET lock_timeout = {at_most_ms}".encode())
        started_ns = self.context.clock.now_ns()
        try:
            connection.execute(statement.encode())
        except errors.LockNotAvailable:
            return None
        return (self.context.clock.now_ns() - started_ns) / NS_PER_S


class LockParameters(TablesParameters):
    """Parameters of `database.lock_contention`."""

    block: Literal["all", "writes"] = Field(
        default="all", description="reads and writes wait (ACCESS EXCLUSIVE), or writes alone (EXCLUSIVE)"
    )


class DatabaseLockContention(LockingFault[LockParameters]):
    """Somebody has begun a change of the schema and has not come back: the lock stays, and whoever wants the table waits."""

    spec = FaultSpec(
        name="database.lock_contention",
        summary="A session takes locks on tables in use and keeps them, idle in its transaction: everybody else waits.",
        kind="hang",
        parameters=LockParameters,
        targets=("service",),
        needs=(),
        evidence="a read (or a write of no row) of each table gets no lock in 0.2 s; gone: it does at once, and that session has ended",
        example="{id: locked, type: database.lock_contention, target: postgres, at: fault, for: 30s, with: {tables: [chunks]}}",
        recoverable_by=("restart",),
        only_roles=("postgres",),
    )

    def inject(self) -> None:
        if self._session is not None:
            return
        try:
            session = self.open(self.parameters.tables)
            session.execute("BEGIN")
            session.execute(_lock(self._tables, "ACCESS EXCLUSIVE" if self.parameters.block == "all" else "EXCLUSIVE").encode())
        except psycopg.Error as error:
            self._tables = ()
            raise FaultError(f"taking the locks: {str(error).strip()}") from error

    def verify(self) -> Evidence | None:
        with connected(self.dsn) as connection:
            waiting = self._waiting(connection)
            row = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'").fetchone()
        blocked = bool(self._tables) and set(waiting) == set(self._tables)
        return {"tables": list(waiting), "others_waiting": row[0] if row else 0} if blocked else None

    def heal(self) -> None:
        if self._session is not None:
            self.end()

    def gone(self) -> Evidence | None:
        with connected(self.dsn) as connection:
            return {"tables_waited_for": 0} if self.ended(connection) and not self._waiting(connection) else None

    def _waiting(self, connection: Connection) -> list[str]:
        """The tables that cannot be had."""
        everything = self.parameters.block == "all"
        asks = {table: f"SELECT FROM {table} LIMIT 1" if everything else idle_write(connection, table) for table in self._tables}
        return [table for table, ask in asks.items() if self.waits_s(connection, ask) is None]


class SlowParameters(TablesParameters):
    """Parameters of `database.slow_queries`."""

    delay: Duration = Field(
        description="how long a statement on those tables waits at most; those that follow one another wait about that long each",
        ge=0.05,
        le=10.0,
        json_schema_extra={"unit": "duration"},
    )


class DatabaseSlowQueries(LockingFault[SlowParameters]):
    """Maintenance in small pieces: each holds the table for a moment, lets those through who wait, and comes again.

    PostgreSQL has no means of its own to slow the statements of others. Saturating processors slows a machine and not a database; this
    delays every statement on those tables by a known time, on any server, by the rights of SQL alone. Sessions show it as waits for locks.
    """

    spec = FaultSpec(
        name="database.slow_queries",
        summary="Delays every statement on tables in use: a session locks them for that long, lets through who waits, and locks again.",
        kind="latency",
        parameters=SlowParameters,
        targets=("service",),
        needs=(),
        evidence="reads of each table in a row take at least half that long (median); gone: they do not, the session has ended",
        example="{id: slow-db, type: database.slow_queries, target: postgres, at: fault, for: 30s, with: {delay: 400ms, tables: [chunks]}}",
        recoverable_by=("restart",),
        only_roles=("postgres",),
    )
    ROUNDS = 3
    CLEARLY, HARDLY = 0.5, 0.3
    _thread: threading.Thread | None = None

    def inject(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        try:
            session = self.open(self.parameters.tables)
        except psycopg.Error as error:
            raise FaultError(f"opening the session: {str(error).strip()}") from error
        self._thread = threading.Thread(target=self._hold_again_and_again, args=(session,), name="slow queries", daemon=True)
        self._thread.start()

    def verify(self) -> Evidence | None:
        took_s = self._reads_s()
        if not self._tables or took_s < self.CLEARLY * self.parameters.delay:
            return None
        return {"read_s": took_s, "asked_s": self.parameters.delay, "tables": list(self._tables)}

    def heal(self) -> None:
        if self._session is not None:
            self.end()
        if self._thread is not None:
            self._thread.join(ENDS_WITHIN_S)

    def gone(self) -> Evidence | None:
        with connected(self.dsn) as connection:
            if not self.ended(connection):
                return None
        took_s = self._reads_s()
        return {"read_s": took_s, "asked_s": 0.0} if took_s <= self.HARDLY * self.parameters.delay else None

    def _hold_again_and_again(self, session: Connection) -> None:
        hold = f"{_lock(self._tables, 'ACCESS EXCLUSIVE')}; SELECT pg_sleep({self.parameters.delay})".encode()
        try:
            while True:
                try:
                    session.execute(hold)  # several statements at once are one transaction
                except errors.LockNotAvailable:
                    continue  # somebody holds the tables for long; nobody waits for us meanwhile
        except psycopg.Error:
            return  # ended, by whoever takes the fault back

    def _reads_s(self) -> float:
        """The shortest median of reads in a row, over the tables."""
        at_most_ms = round(2_000 + 2e3 * self.parameters.delay)
        medians = []
        with connected(self.dsn, statement_timeout=0) as connection:
            for table in self._tables:
                took = [self.waits_s(connection, f"SELECT FROM {table} LIMIT 1", at_most_ms) for _ in range(self.ROUNDS)]
                medians.append(sorted(at_most_ms / 1e3 if one is None else one for one in took)[self.ROUNDS // 2])
        return min(medians, default=0.0)


def _lock(tables: Sequence[str], mode: str) -> str:
    return text(sql.SQL("LOCK TABLE {tables} IN {mode} MODE"), tables=sql.SQL(", ".join(tables)), mode=sql.SQL(mode))


FAULTS = (DatabaseLockContention, DatabaseSlowQueries)
