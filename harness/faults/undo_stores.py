"""Takes back what a fault left in a database or a cache, or what it started beside the harness, from the lease alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from harness.faults.base import FaultError
from harness.faults.settling import until_quiet
from harness.record.clock import SystemClock
from harness.sweep import wait_gone

CONNECT_TIMEOUT_S = 2
STATEMENT_TIMEOUT_MS = 5_000
KILLED_WITHIN_S = 2.0
_SESSION = f"-c statement_timeout={STATEMENT_TIMEOUT_MS} -c default_transaction_read_only=off"
"""A session that can take back also what made the database read-only."""


def undo_sql(args: Mapping[str, Any], _work_dir: Path) -> str:
    """Run `statements` at `dsn`, each in a transaction of its own, all of them even if one fails.

    With `quiet_s` they are repeated until none of them has changed a row for that long (at most SETTLES_WITHIN_S): others may still be
    at work on what is taken back. Raises FaultError.
    """
    import psycopg  # only where one is wanted: the watchdog starts without it

    statements = [str(statement) for statement in args["statements"]]
    try:
        with psycopg.connect(str(args["dsn"]), autocommit=True, connect_timeout=CONNECT_TIMEOUT_S, options=_SESSION) as connection:
            rounds = len(until_quiet(lambda: _run_all(connection, statements), float(args.get("quiet_s", 0.0)), SystemClock(), "rows"))
    except psycopg.Error as error:
        raise FaultError(f"the database: {error}") from error
    return f"ran {len(statements)} statement(s)" + (f", {rounds} times" if rounds > 1 else "")


def _run_all(connection: Any, statements: Sequence[str]) -> bool:
    """Whether any row was changed. Raises the first error after the last statement."""
    import psycopg

    changed, failed = False, None
    for statement in statements:
        try:
            cursor = connection.execute(statement.encode())
            changed |= cursor.rowcount > 0 and cursor.description is None
        except psycopg.Error as error:
            failed = failed or error
    if failed is not None:
        raise failed
    return changed


def undo_redis(args: Mapping[str, Any], _work_dir: Path) -> str:
    """At `url`: end the clients that call themselves `end_clients`, then run `commands`, each a list of words. Raises FaultError."""
    import redis

    commands = [[str(word) for word in command] for command in args.get("commands", ())]
    client = redis.Redis.from_url(str(args["url"]), socket_timeout=STATEMENT_TIMEOUT_MS / 1e3, socket_connect_timeout=CONNECT_TIMEOUT_S)
    try:
        ended = end_clients(client, str(args["end_clients"])) if args.get("end_clients") else 0
        for command in commands:
            client.execute_command(*command)  # type: ignore[no-untyped-call]  # redis-py has no types for it
    except redis.RedisError as error:
        raise FaultError(f"the cache: {type(error).__name__}: {error}") from error
    finally:
        client.close()
    return f"ran {len(commands)} command(s), ended {ended} client(s)"


def end_clients(client: Any, name: str) -> int:
    """Close the connections of that name; how many there were. Raises redis.RedisError."""
    ids = [entry["id"] for entry in client.client_list() if entry.get("name") == name]
    for client_id in ids:
        client.execute_command("CLIENT", "KILL", "ID", client_id)
    return len(ids)


def undo_named(args: Mapping[str, Any], _work_dir: Path) -> str:
    """Kill every process that has exactly `argument` among its own: a name that a fault made up for this one process."""
    argument = str(args["argument"])
    killed = []
    for process in psutil.process_iter():
        try:
            if argument in process.cmdline()[1:]:
                process.kill()
                killed.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue  # gone, or somebody else's
    if left := wait_gone(killed, KILLED_WITHIN_S):
        raise FaultError(f"killed and still there: {', '.join(str(process.pid) for process in left)}")
    return f"killed {len(killed)} process(es) named {argument}"
