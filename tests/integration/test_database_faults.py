"""Faults of a database, on a real PostgreSQL."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from harness.faults.base import FaultError
from tests.integration.backends import Postgres, wait_until
from tests.integration.store_stack import StoreStack, evidence_of, keeps_its_promises, make

_WORLD = """
SELECT (SELECT array_agg(row(relname, relkind)::text ORDER BY relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace),
    (SELECT array_agg(tgname::text ORDER BY tgname) FROM pg_trigger),
    (SELECT array_agg(proname::text ORDER BY proname) FROM pg_proc WHERE pronamespace = 'public'::regnamespace),
    (SELECT array_agg(row(datname, datallowconn)::text ORDER BY datname) FROM pg_database),
    (SELECT array_agg(row(setdatabase, setconfig)::text ORDER BY setdatabase) FROM pg_db_role_setting),
    (SELECT array_agg(v ORDER BY n) FROM hot), (SELECT array_agg(application_name ORDER BY application_name) FROM pg_stat_activity
        WHERE backend_type = 'client backend' AND pid <> pg_backend_pid())
"""


@pytest.fixture
def dsn(database_url: str) -> str:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE hot (n integer PRIMARY KEY, v text, words tsvector GENERATED ALWAYS AS (to_tsvector('english', v)) STORED)"
        )
        connection.execute("CREATE TABLE cold (n integer)")
        connection.execute("INSERT INTO hot SELECT n, 'value ' || n FROM generate_series(1, 50) AS n")
    return database_url


@pytest.fixture
def stack(dsn: str) -> StoreStack:
    return StoreStack("postgres", dsn)


def world(dsn: str) -> Any:
    """What a fault must leave as it was."""

    def look() -> Any:
        with psycopg.connect(dsn) as connection:
            return connection.execute(_WORLD).fetchone()

    return look()


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("database.failover", {"outage": "60s"}),
        ("database.read_only", {}),
        ("database.disk_full", {}),
        ("database.lock_contention", {}),
        ("database.lock_contention", {"tables": ["cold"], "block": "writes"}),
        ("database.slow_queries", {"delay": "150ms", "tables": ["hot"]}),
        ("database.pool_exhausted", {}),
        ("database.stale_reads", {"table": "hot"}),
    ],
)
def test_it_bites_and_leaves_the_database_as_it_was(
    name: str, parameters: dict[str, Any], stack: StoreStack, dsn: str, tmp_path: Path
) -> None:
    wait_until(lambda: world(dsn)[-1] is None, "who made the tables has gone")
    before = world(dsn)
    keeps_its_promises(make(name, stack, **parameters), tmp_path)
    wait_until(lambda: world(dsn) == before, "the world is as it was")


@pytest.fixture
def service(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """A session such as a service's pool holds."""
    with psycopg.connect(dsn, autocommit=True, application_name="retrieval") as connection:
        yield connection


def test_a_failover_breaks_sessions_and_ends_by_itself(stack: StoreStack, dsn: str, service: psycopg.Connection[Any]) -> None:
    fault = make("database.failover", stack, outage="3s")
    fault.inject()
    with pytest.raises(psycopg.errors.AdminShutdown):
        service.execute("SELECT 1")
    found = evidence_of(fault.verify)
    assert found["sessions_ended"] >= 1 and "not currently accepting connections" in found["refusal"]
    wait_until(lambda: world(dsn), "it lets clients in again")
    assert evidence_of(fault.gone) == {"accepts_sessions": True}
    fault.heal()


def test_read_only_refuses_writes_and_keeps_the_setting_that_was_there(
    stack: StoreStack, dsn: str, service: psycopg.Connection[Any]
) -> None:
    name = dsn.rpartition("/")[2]
    service.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = off'.encode())
    before = world(dsn)
    fault = make("database.read_only", stack)
    fault.inject()
    with psycopg.connect(dsn, autocommit=True) as later:
        assert later.execute("SELECT count(*) FROM hot").fetchone() == (50,)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            later.execute("DELETE FROM hot")
        fault.heal()
        with pytest.raises(psycopg.OperationalError):
            later.execute("SELECT 1")
    wait_until(lambda: world(dsn)[:6] == before[:6], "the setting is back")


def test_a_full_disk_refuses_what_grows_and_nothing_else(stack: StoreStack, service: psycopg.Connection[Any]) -> None:
    fault = make("database.disk_full", stack, tables=["hot"])
    fault.inject()
    with pytest.raises(psycopg.errors.DiskFull, match="No space left on device"):
        service.execute("INSERT INTO hot (n) VALUES (1000)")
    service.execute("INSERT INTO cold VALUES (1)")
    service.execute("DELETE FROM hot WHERE n = 50")
    assert fault.verify() == {"sqlstate": "53100", "tables": 1}
    fault.heal()
    service.execute("INSERT INTO hot (n) VALUES (1000)")


def test_contention_holds_up_the_most_used_tables(stack: StoreStack, dsn: str, service: psycopg.Connection[Any]) -> None:
    fault = make("database.lock_contention", stack, tables=["hot"])
    fault.inject()
    waited = threading.Event()

    def ask() -> None:
        service.execute("SELECT count(*) FROM hot")
        waited.set()

    thread = threading.Thread(target=ask)
    thread.start()
    with psycopg.connect(dsn, autocommit=True) as other:
        query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        wait_until(lambda: other.execute(query).fetchone() == (1,), "the service waits")
    assert evidence_of(fault.verify)["others_waiting"] >= 1
    assert not waited.is_set()
    fault.heal()
    thread.join(60)
    assert waited.is_set()


@pytest.mark.parametrize("name", ["absent", "hot; DROP TABLE cold"])
def test_what_is_no_name_of_a_table_is_refused(stack: StoreStack, service: psycopg.Connection[Any], name: str) -> None:
    with pytest.raises(FaultError, match=r"^the database: (UndefinedTable|InvalidName|SyntaxError)"):
        make("database.lock_contention", stack, tables=[name]).inject()
    assert service.execute("SELECT count(*) FROM cold").fetchone() == (0,)


def test_an_ended_session_or_a_restart_ends_contention(stack: StoreStack, dsn: str, postgres: Postgres) -> None:
    fault = make("database.lock_contention", stack)
    fault.inject()
    evidence_of(fault.verify)
    postgres.stop()
    postgres.start()
    assert evidence_of(fault.gone)
    fault.heal()


def test_writes_alone_can_be_held_up(stack: StoreStack, service: psycopg.Connection[Any]) -> None:
    fault = make("database.lock_contention", stack, tables=["hot"], block="writes")
    fault.inject()
    assert service.execute("SELECT count(*) FROM hot").fetchone() == (50,)
    service.execute("SET lock_timeout = 100")
    with pytest.raises(psycopg.errors.LockNotAvailable):
        service.execute("UPDATE hot SET v = v WHERE n = 1")
    fault.heal()


def test_every_statement_is_slow_and_none_fails(stack: StoreStack, service: psycopg.Connection[Any]) -> None:
    fault = make("database.slow_queries", stack, delay="120ms", tables=["hot"])
    fault.inject()
    evidence_of(fault.verify)

    def five_are_slow() -> bool:
        """On a machine that is busy with other things, some may slip through between two locks."""
        started_s = time.monotonic()
        for n in range(5):
            service.execute("UPDATE hot SET v = %s WHERE n = 1", (str(n),))
        return time.monotonic() - started_s > 4 * 0.1

    wait_until(five_are_slow, "five statements in a row take the delay")
    fault.heal()
    wait_until(lambda: evidence_of(fault.gone)["read_s"] < 0.03, "a row is read as quickly as before")


def test_services_lose_their_connections_and_get_none(stack: StoreStack, dsn: str, service: psycopg.Connection[Any]) -> None:
    fault = make("database.pool_exhausted", stack)
    fault.inject()
    found = evidence_of(fault.verify)
    assert found["sqlstate"] == "53300" and "too many clients" in found["refusal"] and found["held"] > 20

    def has_lost_it() -> bool:
        try:
            service.execute("SELECT 1")
        except psycopg.OperationalError:
            return True
        return False

    wait_until(has_lost_it, "the service's session is ended")
    fault.heal()
    assert evidence_of(fault.gone) == {"accepts_sessions": True, "held": 0}


def test_sessions_of_services_can_be_spared(stack: StoreStack, service: psycopg.Connection[Any]) -> None:
    fault = make("database.pool_exhausted", stack, oust=False)
    fault.inject()
    evidence_of(fault.verify)
    assert service.execute("SELECT 1").fetchone() == (1,)
    fault.heal()


def test_a_restart_frees_what_was_held(stack: StoreStack, dsn: str, postgres: Postgres) -> None:
    fault = make("database.pool_exhausted", stack)
    fault.inject()
    evidence_of(fault.verify)
    postgres.stop()
    postgres.start()
    assert evidence_of(fault.gone)
    fault.heal()


def rows_of(session: psycopg.Connection[Any]) -> list[Any]:
    return session.execute("SELECT n, v, words::text FROM hot WHERE n NOT BETWEEN 4 AND 50 ORDER BY n").fetchall()


def test_readers_see_changes_late_in_their_order_and_none_is_lost(stack: StoreStack, service: psycopg.Connection[Any]) -> None:
    fault = make("database.stale_reads", stack, table="hot", lag="3s")
    fault.inject()
    before = rows_of(service)
    service.execute("INSERT INTO hot (n, v) VALUES (100, 'new word')")
    service.execute("DELETE FROM hot WHERE n = 1")
    service.execute("UPDATE hot SET v = 'changed' WHERE n = 2")
    service.execute("INSERT INTO hot (n, v) VALUES (101, 'second')")
    assert rows_of(service) == before
    assert fault.verify()["changes_kept_back"] == 4
    after = [
        (2, "changed", "'chang':1"),
        (3, "value 3", "'3':2 'valu':1"),
        (100, "new word", "'new':1 'word':2"),
        (101, "second", "'second':1"),
    ]
    wait_until(lambda: rows_of(service) == after, "the changes have come through")
    service.execute("DELETE FROM hot WHERE n = 3")
    assert rows_of(service) == after
    fault.heal()
    assert rows_of(service) == [row for row in after if row[0] != 3]
    assert evidence_of(fault.gone)


def test_a_table_that_is_not_there_is_an_error(stack: StoreStack) -> None:
    for name in ("database.lock_contention", "database.disk_full"):
        fault = make(name, stack, tables=["nowhere"])
        with pytest.raises(FaultError, match="nowhere"):
            fault.inject()
        fault.heal()
        assert evidence_of(fault.gone)
