"""Faults of a whole database: away, failing over, read-only, refusing writes as one does whose disk is full."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from harness.faults.base import Evidence, FaultError, Undo
from harness.faults.database_client import END_OTHERS, DatabaseFault, at_database, connected, hot_tables, idle_write, open_session, text
from harness.faults.process import NoParameters
from harness.faults.store_down import StoreDown
from harness.lazy import Lazy
from harness.scenario.catalog import FaultParameters, FaultSpec
from harness.scenario.model import Duration

if TYPE_CHECKING:
    import psycopg
    from psycopg import errors, sql
else:
    psycopg = Lazy("psycopg")
    errors = Lazy("psycopg.errors")
    sql = Lazy("psycopg.sql")

_MAINTENANCE = ("postgres", "template1")  # databases of every server; the one that is not the target's is used
_SESSIONS = "SELECT pid, backend_start::text FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'"
_TRIGGER = "CREATE OR REPLACE TRIGGER {name} BEFORE INSERT OR UPDATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
_FUNCTION = """
CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    RAISE EXCEPTION 'could not extend file "%": No space left on device', pg_relation_filepath(TG_RELID)
        USING ERRCODE = 'disk_full', HINT = 'Check free disk space.';
END $$
"""


class DatabaseDown(StoreDown):
    """The database crashes; what was committed is there when it is started again."""

    spec = FaultSpec(
        name="database.down",
        summary="Crashes the database (SIGKILL, all its processes); it stays down until somebody restarts it.",
        kind="crash",
        parameters=NoParameters,
        targets=("service",),
        needs=("Killable", "Restartable"),
        evidence="its pid is gone and nobody answers a client's first message; gone: it is answered, the readiness probe succeeds",
        example="{id: no-database, type: database.down, target: postgres, at: fault, for: 40s}",
        recoverable_by=("restart",),
        only_roles=("postgres",),
    )


class FailoverParameters(FaultParameters):
    """Parameters of `database.failover`."""

    outage: Duration = Field(
        default=5.0,
        description="from the loss of all sessions until new ones are accepted",
        gt=0,
        le=120,
        json_schema_extra={"unit": "duration"},
    )


class DatabaseFailover(DatabaseFault[FailoverParameters]):
    """As clients see a standby being promoted: every session breaks, nobody gets in for a while, then everything is as before."""

    spec = FaultSpec(
        name="database.failover",
        summary="Breaks every session and lets nobody in for a short outage, then works as before, as when a standby is promoted.",
        kind="crash",
        parameters=FailoverParameters,
        targets=("service",),
        needs=(),
        evidence="the sessions known before have ended and a new one is refused; gone: a new one is accepted and answers",
        example="{id: promoted, type: database.failover, target: postgres, at: fault, for: 30s, with: {outage: 8s}}",
        only_roles=("postgres",),
    )
    _known: frozenset[tuple[int, str]] | None = None
    _over: threading.Event | None = None

    def undo(self) -> Sequence[Undo]:
        return (self.sql_undo(self._allow(True), dsn=self._aside()),)

    def inject(self) -> None:
        if self._over is not None:
            return
        self._over = threading.Event()
        with connected(self._aside()) as connection:
            self._known = frozenset((pid, begun) for pid, begun in connection.execute(_SESSIONS, (self._database(),)))
            connection.execute(self._allow(False).encode())
            connection.execute(END_OTHERS.replace("current_database()", "%s").encode(), (self._database(),))
        threading.Thread(target=self._end_outage, args=(self._over,), name="failover", daemon=True).start()

    def verify(self) -> Evidence | None:
        if self._known is None:
            return None
        with connected(self._aside()) as connection:
            left = self._known & frozenset((pid, begun) for pid, begun in connection.execute(_SESSIONS, (self._database(),)))
        refusal = self._refusal()
        return {"sessions_ended": len(self._known), "refusal": refusal} if not left and refusal is not None else None

    def heal(self) -> None:
        if self._over is not None:
            self._over.set()
            self.run([self._allow(True)], dsn=self._aside())
        self._over = self._known = None

    def gone(self) -> Evidence | None:
        return {"accepts_sessions": True} if self._refusal() is None else None

    def _end_outage(self, over: threading.Event) -> None:
        """A promotion ends by itself, whatever becomes of the fault."""
        if not over.wait(self.parameters.outage):
            try:
                self.run([self._allow(True)], dsn=self._aside())
            except FaultError:
                return  # a database that cannot be asked now is asked by `heal`

    def _refusal(self) -> str | None:
        """What a client is told; None where it is let in."""
        try:
            with open_session(self.dsn) as connection:
                connection.execute("SELECT 1")
        except psycopg.Error as error:
            return str(error).strip()
        return None

    def _allow(self, allowed: bool) -> str:
        return text(
            sql.SQL("ALTER DATABASE {name} ALLOW_CONNECTIONS {allowed}"),
            name=sql.Identifier(self._database()),
            allowed=sql.SQL("true" if allowed else "false"),
        )

    def _database(self) -> str:
        return str(psycopg.conninfo.conninfo_to_dict(self.dsn).get("dbname") or "postgres")

    def _aside(self) -> str:
        """Another database of the same server: the target itself lets nobody in."""
        return at_database(self.dsn, next(name for name in _MAINTENANCE if name != self._database()))


class DatabaseReadOnly(DatabaseFault[NoParameters]):
    """Reads work, writes are refused: what providers do when storage runs out, and what a client sees that is left on the old primary."""

    spec = FaultSpec(
        name="database.read_only",
        summary="Makes new sessions read-only (default_transaction_read_only) and ends the old ones: writes are refused.",
        kind="config",
        parameters=NoParameters,
        targets=("service",),
        needs=(),
        evidence="a table cannot be made (SQLSTATE 25006); gone: it can be, and the database's own setting is as it was",
        example="{id: frozen-data, type: database.read_only, target: postgres, at: fault, for: 40s}",
        only_roles=("postgres",),
    )
    _SETTING = """
    SELECT split_part(setting, '=', 2)
    FROM pg_db_role_setting JOIN pg_database ON pg_database.oid = setdatabase, unnest(setconfig) AS setting
    WHERE datname = current_database() AND setrole = 0 AND setting LIKE 'default\\_transaction\\_read\\_only=%'
    """
    _before: tuple[str | None] | None = None

    def undo(self) -> Sequence[Undo]:
        return (self.sql_undo(*self._repairs()),)

    def inject(self) -> None:
        self._repairs()  # the setting as it is, before it is changed
        self.run([self._set("on"), END_OTHERS])

    def verify(self) -> Evidence | None:
        refusal = self._refusal()
        return {"sqlstate": "25006", "refusal": refusal} if refusal is not None else None

    def heal(self) -> None:
        """Sessions begun meanwhile stay read-only: they are ended, too."""
        if self._before is not None and self._setting() != self._before[0]:
            self.run(self._repairs())

    def gone(self) -> Evidence | None:
        now = self._setting()
        if self._refusal() is not None or (self._before is not None and now != self._before[0]):
            return None
        self._before = None
        return {"writes": True, "setting": now}

    def _repairs(self) -> list[str]:
        if self._before is None:
            self._before = (self._setting(),)
        return [self._set(self._before[0]), END_OTHERS]

    def _set(self, value: str | None) -> str:
        name = sql.Identifier(str(psycopg.conninfo.conninfo_to_dict(self.dsn).get("dbname") or "postgres"))
        if value is None:
            return text(sql.SQL("ALTER DATABASE {name} RESET default_transaction_read_only"), name=name)
        return text(sql.SQL("ALTER DATABASE {name} SET default_transaction_read_only = {value}"), name=name, value=sql.Literal(value))

    def _setting(self) -> str | None:
        """The database's own; None where it has none."""
        with connected(self.dsn) as connection:
            row = connection.execute(self._SETTING.encode()).fetchone()
        return None if row is None else str(row[0])

    def _refusal(self) -> str | None:
        """What is said to a write; None where it is taken."""
        with connected(self.dsn) as connection, connection.transaction(force_rollback=True):
            try:
                with connection.transaction():
                    connection.execute(text(sql.SQL("CREATE TABLE {name} ()"), name=sql.Identifier(self.object_name)).encode())
            except errors.ReadOnlySqlTransaction as error:
                return str(error).strip()
        return None


class DiskFullParameters(FaultParameters):
    """Parameters of `database.disk_full`."""

    tables: tuple[str, ...] = Field(default=(), description="tables that cannot grow, as SQL names them; default: all")


class DatabaseDiskFull(DatabaseFault[DiskFullParameters]):
    """Writes are refused with the error of a full disk, by a trigger; no disk is filled (`resource.disk_full` does that)."""

    spec = FaultSpec(
        name="database.disk_full",
        summary="Refuses inserts and updates as PostgreSQL does when its disk is full (SQLSTATE 53100); reads and deletes work on.",
        kind="disk",
        parameters=DiskFullParameters,
        targets=("service",),
        needs=(),
        evidence="an update of no row is refused with 53100 on each of those tables; gone: it is not, on any",
        example="{id: no-space, type: database.disk_full, target: postgres, at: fault, for: 40s}",
        only_roles=("postgres",),
    )
    TABLES_MAX = 1_000
    _tables: Sequence[str] = ()

    def undo(self) -> Sequence[Undo]:
        return (self.sql_undo(*self._repairs()),)

    def inject(self) -> None:
        with connected(self.dsn) as connection, connection.transaction():
            tables = self.parameters.tables or hot_tables(connection, self.TABLES_MAX)
            connection.execute("SET LOCAL lock_timeout = '3s'")
            connection.execute(self._function().encode())
            for table in tables:
                connection.execute(text(sql.SQL(_TRIGGER), name=sql.Identifier(self.object_name), table=sql.SQL(table)).encode())
        self._tables = tables

    def verify(self) -> Evidence | None:
        refusals = self._refusals()
        return {"sqlstate": "53100", "tables": len(refusals)} if refusals and len(refusals) == len(self._tables) else None

    def heal(self) -> None:
        self.run(self._repairs())

    def gone(self) -> Evidence | None:
        if self._refusals():
            return None
        with connected(self.dsn) as connection:
            row = connection.execute("SELECT count(*) FROM pg_proc WHERE proname = %s", (self.object_name,)).fetchone()
        return {"tables_refusing": 0, "triggers_left": 0} if row == (0,) else None

    def _refusals(self) -> list[str]:
        """Tables on which a write is refused for want of space."""
        refusing = []
        with connected(self.dsn) as connection:
            for table in self._tables:
                try:
                    connection.execute(idle_write(connection, table).encode())
                except errors.DiskFull:
                    refusing.append(table)
        return refusing

    def _repairs(self) -> list[str]:
        return [text(sql.SQL("DROP FUNCTION IF EXISTS {name}() CASCADE"), name=sql.Identifier(self.object_name))]

    def _function(self) -> str:
        return text(sql.SQL(_FUNCTION), name=sql.Identifier(self.object_name))


FAULTS = (DatabaseDown, DatabaseFailover, DatabaseReadOnly, DatabaseDiskFull)
