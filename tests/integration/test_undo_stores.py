"""Undo entries of stores, carried out on a real PostgreSQL, a real Valkey and real processes."""

from __future__ import annotations

import subprocess
import sys
import threading
import uuid
from pathlib import Path

import psycopg
import pytest

from harness.faults.base import Undo
from harness.faults.undo import execute
from tests.integration.backends import Valkey, free_port, wait_until


@pytest.fixture
def dsn(database_url: str) -> str:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE t (n integer)")
    return database_url


def rows(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT count(*) FROM t").fetchone()
        assert row is not None
        return int(row[0])


def test_statements_run_although_one_fails(dsn: str, tmp_path: Path) -> None:
    undo = Undo("sql", {"dsn": dsn, "statements": ["INSERT INTO t VALUES (1)", "nonsense", "INSERT INTO t VALUES (2)"]})
    found = execute(undo, tmp_path)
    assert not found.ok and 'syntax error at or near "nonsense"' in found.detail
    assert rows(dsn) == 2


def test_a_read_only_database_can_be_taken_back(dsn: str, tmp_path: Path) -> None:
    name = dsn.rpartition("/")[2]
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'.encode())
    found = execute(Undo("sql", {"dsn": dsn, "statements": [f'ALTER DATABASE "{name}" RESET default_transaction_read_only']}), tmp_path)
    assert (found.ok, found.detail) == (True, "ran 1 statement(s)")
    with psycopg.connect(dsn) as connection:
        connection.execute("INSERT INTO t VALUES (1)")


def test_statements_are_repeated_while_rows_come_back(dsn: str, tmp_path: Path) -> None:
    put = threading.Event()

    def put_back() -> None:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("INSERT INTO t VALUES (1)")
            wait_until(lambda: rows(dsn) == 0, "the row is taken away")
            connection.execute("INSERT INTO t VALUES (2)")
        put.set()

    thread = threading.Thread(target=put_back)
    thread.start()
    wait_until(lambda: rows(dsn) == 1, "the first row")
    found = execute(Undo("sql", {"dsn": dsn, "statements": ["DELETE FROM t"], "quiet_s": 2.5}), tmp_path)
    thread.join()
    assert found.ok and put.is_set()
    assert rows(dsn) == 0


def test_a_database_that_is_away_is_not_taken_back(tmp_path: Path) -> None:
    found = execute(Undo("sql", {"dsn": f"postgresql://postgres@127.0.0.1:{free_port()}/postgres", "statements": ["SELECT 1"]}), tmp_path)
    assert not found.ok and "refused" in found.detail


def test_commands_run_and_named_clients_are_cut_off(valkey: Valkey, tmp_path: Path) -> None:
    mine, other = valkey.client(), valkey.client()
    with mine, other:
        name = f"batch-{uuid.uuid4().hex}"
        mine.client_setname(name)
        other.client_setname(f"{name}-other")
        undo = Undo("redis", {"url": valkey.url, "end_clients": name, "commands": [["SET", name, "a b"], ["EXPIRE", name, 60]]})
        found = execute(undo, tmp_path)
        assert (found.ok, found.detail) == (True, "ran 2 command(s), ended 1 client(s)")
        assert other.get(name) == b"a b"
        names = [entry["name"] for entry in other.client_list()]
        assert f"{name}-other" in names and name not in names
        other.delete(name)


def test_a_cache_that_is_away_or_refuses_is_not_taken_back(valkey: Valkey, tmp_path: Path) -> None:
    away = execute(Undo("redis", {"url": f"redis://127.0.0.1:{free_port()}/0", "commands": [["PING"]]}), tmp_path)
    assert not away.ok and "refused" in away.detail
    refused = execute(Undo("redis", {"url": valkey.url, "commands": [["NOSUCH"]]}), tmp_path)
    assert not refused.ok and "unknown command" in refused.detail


def test_only_processes_with_exactly_that_argument_are_killed(tmp_path: Path) -> None:
    argument = f"--session=batch-{uuid.uuid4().hex}"
    with (
        subprocess.Popen([sys.executable, "-c", "input()", argument], stdin=subprocess.PIPE) as meant,
        subprocess.Popen([sys.executable, "-c", "input()", f"{argument}0"], stdin=subprocess.PIPE) as other,
    ):
        undo = Undo("terminate_named", {"argument": argument})
        assert execute(undo, tmp_path).detail == f"killed 1 process(es) named {argument}"
        assert meant.wait(5) == -9
        assert other.poll() is None
        assert execute(undo, tmp_path).detail == f"killed 0 process(es) named {argument}"
        other.kill()
