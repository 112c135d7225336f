"""What faults of a PostgreSQL share: sessions with time limits, the tables that are in use, and statements that end other sessions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from harness.faults.base import Context, FaultError, Parameters, Target, TargetedFault, Undo
from harness.faults.names import fresh_name
from harness.lazy import Lazy
from harness.stack.base import StackError

if TYPE_CHECKING:
    import psycopg
    from psycopg import sql

    Connection = psycopg.Connection[Any]
else:
    Connection = Any
    psycopg = Lazy("psycopg")
    sql = Lazy("psycopg.sql")


CONNECT_TIMEOUT_S = 2
STATEMENT_TIMEOUT_MS = 5_000

_HOT = """
SELECT relid::regclass::text FROM pg_stat_user_tables
ORDER BY coalesce(seq_scan, 0) + coalesce(idx_scan, 0) + n_tup_ins + n_tup_upd DESC, relname LIMIT %s
"""
_NAMED = "SELECT %s::regclass::text"
_WRITABLE = """
SELECT attname FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND attidentity = '' ORDER BY attnum
"""
END_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
"""Run in the database whose sessions are to end; the services' pools make new ones."""


@contextmanager
def connected(dsn: str, name: str = "", **settings: object) -> Iterator[Connection]:
    """A session in autocommit mode, called `name`, with `settings` of its own. What it raises inside becomes a FaultError."""
    try:
        with open_session(dsn, name, **settings) as connection:
            yield connection
    except psycopg.Error as error:
        raise FaultError(f"the database: {type(error).__name__}: {str(error).strip()}") from error


def open_session(dsn: str, name: str = "", **settings: object) -> Connection:
    """The same, whose errors stay psycopg's."""
    chosen: Mapping[str, object] = {"statement_timeout": STATEMENT_TIMEOUT_MS, **settings}
    options = " ".join(f"-c {key}={value}" for key, value in chosen.items())
    return psycopg.connect(dsn, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S, application_name=name, options=options)


def hot_tables(connection: Connection, count: int) -> list[str]:
    """The tables that most was read from and written to, as SQL names them. Raises FaultError where there is none."""
    found = [str(row[0]) for row in connection.execute(_HOT, (count,))]
    if not found:
        raise FaultError("the database has no table of its own")
    return found


def known_tables(connection: Connection, names: Sequence[str]) -> list[str]:
    """Tables that somebody has named, as the database itself writes them: nothing but a name of one gets into a statement."""
    return [str(row[0]) for name in names for row in connection.execute(_NAMED, (name,))]


def columns(connection: Connection, table: str) -> list[str]:
    """Those that may be written. `table` as SQL names it."""
    return [str(row[0]) for row in connection.execute(_WRITABLE, (table,))]


def idle_write(connection: Connection, table: str) -> str:
    """A statement that does all that a write does, to no row."""
    column = columns(connection, table)[0]
    return text(sql.SQL("UPDATE {table} SET {column} = {column} WHERE false"), table=sql.SQL(table), column=sql.Identifier(column))


def text(template: sql.SQL, **parts: sql.Composable) -> str:
    """A statement with its names and values quoted, for the lease."""
    return template.format(**parts).as_string(None)


def end_named(name: str) -> str:
    """The statement that ends the sessions of that name, and waits until they have ended."""
    return text(
        sql.SQL("SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity WHERE application_name = {name} AND pid <> pg_backend_pid()"),
        name=sql.Literal(name),
    )


def at_database(dsn: str, name: str) -> str:
    """The same server and role, another database."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))


class DatabaseFault(TargetedFault[Parameters]):
    """A fault of the one server that a service is."""

    def __init__(self, target: Target, parameters: Parameters, context: Context) -> None:
        super().__init__(target, parameters, context)
        self.name = fresh_name(context)

    @property
    def dsn(self) -> str:
        """Of the server, with the role of the harness. Raises FaultError."""
        return self.dsn_of(self.target.service)

    def dsn_of(self, service: str) -> str:
        """Of the one server that a service is. Raises FaultError."""
        try:
            instances = self.context.stack.instances(service)
        except StackError as error:
            raise FaultError(str(error)) from error
        if not instances:
            raise FaultError(f"{service} has no instance: a fault must never have zero targets")
        return instances[0].url

    @property
    def object_name(self) -> str:
        """For what it makes inside of the database: an identifier without signs to quote."""
        return self.name.replace("-", "_")

    def sql_undo(self, *statements: str, dsn: str | None = None, quiet_s: float = 0.0) -> Undo:
        """These statements, run from the lease."""
        return Undo("sql", {"dsn": dsn or self.dsn, "statements": list(statements), "quiet_s": quiet_s})

    def run(self, statements: Sequence[str], dsn: str | None = None) -> None:
        """Each in a transaction of its own, also where the database is read-only. Raises FaultError."""
        with connected(dsn or self.dsn, default_transaction_read_only="off") as connection:
            for statement in statements:
                connection.execute(statement.encode())
