"""A fault of reads: they see the tables as they were a while ago, as those of a replica that lags behind.

Triggers keep each change of the tables back, in the order of the changes, and let it through when it is as old as the lag. Whoever writes
is told that it is done. So it is between a primary and its replica; it suits tables whose writers do not read what they have just written
(an index that others search), and no others: the reference stack's `chunks`.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from harness.faults.base import Evidence, FaultError, Undo
from harness.faults.database_client import Connection, DatabaseFault, columns, connected, text
from harness.lazy import Lazy
from harness.scenario.catalog import FaultParameters, FaultSpec
from harness.scenario.model import Duration

if TYPE_CHECKING:
    from psycopg import sql
else:
    sql = Lazy("psycopg.sql")

CATCH_UP_EVERY_S = 0.25
ENDS_WITHIN_S = 10.0

# One row for each change: what is gone (`old`), and what is new (`new`).
_SET_UP = """
CREATE TABLE {log} (n bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(), old jsonb, new jsonb);
CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF current_setting('application_name') = {own} THEN
        RETURN coalesce(NEW, OLD);
    END IF;
    INSERT INTO {log} (old, new) VALUES (
        CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END, CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END);
    RETURN NULL;
END $$;
CREATE TRIGGER {name} BEFORE INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION {name}();
"""
_CATCH_UP = """
DO $$ DECLARE change record; BEGIN
    IF to_regclass({log_name}) IS NULL THEN RETURN; END IF;
    FOR change IN DELETE FROM {log} WHERE at <= clock_timestamp() - make_interval(secs => {lag_s}) RETURNING n, old, new LOOP
        INSERT INTO {due} VALUES (change.n, change.old, change.new);
    END LOOP;
    FOR change IN SELECT * FROM {due} ORDER BY n LOOP
        IF change.old IS NOT NULL THEN
            DELETE FROM {table} AS now WHERE {same_key};
        END IF;
        IF change.new IS NOT NULL THEN
            BEGIN
                INSERT INTO {table} ({columns})
                    SELECT {columns} FROM jsonb_populate_record(NULL::{table}, change.new) ON CONFLICT DO NOTHING;
            EXCEPTION WHEN foreign_key_violation THEN
                NULL; -- what it belongs to has been deleted since, and would have taken it along
            END;
        END IF;
    END LOOP;
    DELETE FROM {due};
    {finally}
END $$
"""
_TAKE_AWAY = "DROP FUNCTION {name}() CASCADE; DROP TABLE {log}, {due};"
_KEY = """
SELECT attname FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY(indkey)
WHERE indrelid = %s::regclass AND indisprimary ORDER BY attnum
"""


class StaleParameters(FaultParameters):
    """Parameters of `database.stale_reads`."""

    lag: Duration = Field(
        default=30.0, description="how old a change is before reads see it", ge=0.5, le=3600, json_schema_extra={"unit": "duration"}
    )
    table: str = Field(
        default="chunks", description="table that lags, as SQL names it; its writers must not read what they have just written"
    )


class DatabaseStaleReads(DatabaseFault[StaleParameters]):
    """What was written, and acknowledged, is not there to be read for a while."""

    spec = FaultSpec(
        name="database.stale_reads",
        summary="Keeps changes of a table from readers until they are that old, as a replica does that lags; writers notice nothing.",
        kind="data",
        parameters=StaleParameters,
        targets=("service",),
        needs=(),
        evidence="a row is still found after its deletion (which is rolled back); gone: it is not, and nothing is kept back any more",
        example="{id: lag, type: database.stale_reads, target: postgres, at: fault, for: 60s, with: {lag: 20s}}",
        only_roles=("postgres",),
    )
    _ended: threading.Event | None = None
    _thread: threading.Thread | None = None

    def undo(self) -> Sequence[Undo]:
        with connected(self.dsn) as connection:
            named = text(sql.SQL("SET application_name = {own}"), own=sql.Literal(self.name))
            return (self.sql_undo(named, self._catch_up(connection, 0.0, finally_=True)),)

    def inject(self) -> None:
        with connected(self.dsn, self.name) as connection:
            if self._is_there(connection):
                return
            parts = self._parts(connection, 0.0)
            with connection.transaction():
                connection.execute("SET LOCAL lock_timeout = '3s'")
                connection.execute(text(sql.SQL("CREATE TABLE {due} (n bigint, old jsonb, new jsonb)"), due=parts["due"]).encode())
                connection.execute(text(sql.SQL(_SET_UP), **parts).encode())
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, args=(self._ended,), name="stale reads", daemon=True)
        self._thread.start()

    def verify(self) -> Evidence | None:
        """A write is tried in a transaction that is taken back: nobody else sees it."""
        with connected(self.dsn) as connection:
            if not self._is_there(connection):
                return None
            with connection.transaction(force_rollback=True):
                hidden = self._delete_is_not_seen(connection)
            row = connection.execute(text(sql.SQL("SELECT count(*) FROM {log}"), log=self._log()).encode()).fetchone()
        return {"deletion_seen": False, "changes_kept_back": row[0] if row else 0, "lag_s": self.parameters.lag} if hidden else None

    def heal(self) -> None:
        if self._ended is not None and self._thread is not None:
            self._ended.set()
            self._thread.join(ENDS_WITHIN_S)
        with connected(self.dsn, self.name, default_transaction_read_only="off") as connection:
            if self._is_there(connection):
                connection.execute(self._catch_up(connection, 0.0, finally_=True).encode())

    def gone(self) -> Evidence | None:
        with connected(self.dsn) as connection:
            if self._is_there(connection):
                return None
            with connection.transaction(force_rollback=True):
                return None if self._delete_is_not_seen(connection) else {"changes_kept_back": 0, "deletion_seen": True}

    def _delete_is_not_seen(self, connection: Connection) -> bool:
        """Whether a row is still there for the one who has just deleted it. Raises FaultError for an empty table."""
        table = sql.SQL(self.parameters.table)
        key = connection.execute(text(sql.SQL("SELECT ctid::text FROM {table} LIMIT 1"), table=table).encode()).fetchone()
        if key is None:
            raise FaultError(f"{self.parameters.table} is empty: nothing of it could be stale")
        at = {"table": table, "row": sql.Literal(key[0])}
        connection.execute(text(sql.SQL("DELETE FROM {table} WHERE ctid = {row}::tid"), **at).encode())
        found = connection.execute(text(sql.SQL("SELECT FROM {table} WHERE ctid = {row}::tid"), **at).encode())
        return found.fetchone() is not None

    def _follow(self, ended: threading.Event) -> None:
        """Let through what is old enough, until the fault is taken back, by whomever."""
        while not ended.wait(CATCH_UP_EVERY_S):
            try:
                with connected(self.dsn, self.name) as connection:
                    if not self._is_there(connection):
                        return
                    connection.execute(self._catch_up(connection, self.parameters.lag).encode())
            except FaultError:
                continue  # the database is away for the moment, or a lock was not to be had

    def _catch_up(self, connection: Connection, lag_s: float, finally_: bool = False) -> str:
        parts = self._parts(connection, lag_s)
        last = text(sql.SQL(_TAKE_AWAY), **{name: parts[name] for name in ("name", "log", "due")}) if finally_ else ""
        return text(sql.SQL(_CATCH_UP), **parts, **{"finally": sql.SQL(last)})

    def _parts(self, connection: Connection, lag_s: float) -> dict[str, sql.Composable]:
        table = self.parameters.table
        key = [str(row[0]) for row in connection.execute(_KEY.encode(), (table,))]
        if not key:
            raise FaultError(f"{table} has no primary key: changes of it could not be told apart")
        same = [text(sql.SQL("now.{c}::text = change.old ->> {name}"), c=sql.Identifier(c), name=sql.Literal(c)) for c in key]
        return {
            "name": sql.Identifier(self.object_name),
            "own": sql.Literal(self.name),
            "log": self._log(),
            "log_name": sql.Literal(f"{self.object_name}_log"),
            "due": sql.Identifier(f"{self.object_name}_due"),
            "table": sql.SQL(table),
            "columns": sql.SQL(", ").join(sql.Identifier(c) for c in columns(connection, table)),
            "same_key": sql.SQL(" AND ".join(same)),
            "lag_s": sql.Literal(lag_s),
        }

    def _log(self) -> sql.Identifier:
        return sql.Identifier(f"{self.object_name}_log")

    def _is_there(self, connection: Connection) -> bool:
        row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (f"{self.object_name}_log",)).fetchone()
        return bool(row and row[0])


FAULTS = (DatabaseStaleReads,)
