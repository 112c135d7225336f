"""`python -m harness.faults.database_holder`: takes every connection that a PostgreSQL admits, until it is ended.

A process of its own, because it must be possible to end it without a connection to that server: there is none to be had.
"""

from __future__ import annotations

from contextlib import suppress

import psycopg

from harness.faults.beside import Ending, order, say
from harness.faults.database_client import Connection, open_session
from harness.record.clock import NS_PER_S, SystemClock

TRY_AGAIN_S = 0.01
LOOK_EVERY_S = 0.25
_OUST = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE backend_type = 'client backend' AND application_name <> %s AND pid <> pg_backend_pid()
"""


def hold(dsn: str, name: str, oust: bool, ending: Ending) -> None:
    """Take what is free; where others have some, end their sessions and be quicker than they are. A restart of the server ends it."""
    clock, held, looked_ns = SystemClock(), list[Connection](), 0
    while not ending.wait(TRY_AGAIN_S):
        count = len(held)
        _take_all(dsn, name, held)
        if len(held) != count:
            say(held=len(held))
        if held and clock.now_ns() - looked_ns > LOOK_EVERY_S * NS_PER_S:
            looked_ns = clock.now_ns()
            try:
                held[0].execute(_OUST if oust else "SELECT %s", (name,))
            except psycopg.Error:
                return


def _take_all(dsn: str, name: str, held: list[Connection]) -> None:
    with suppress(psycopg.Error):  # none is left, or the server is away
        while True:
            held.append(open_session(dsn, name))


def main() -> int:
    told = order()
    hold(told["dsn"], told["name"], told["oust"], Ending(told["ttl_s"]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
