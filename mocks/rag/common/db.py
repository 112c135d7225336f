"""PostgreSQL connections: a bounded pool that validates, cleans up, reports itself and is reopened on request."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from psycopg import AsyncConnection, OperationalError
from psycopg.errors import QueryCanceled, ReadOnlySqlTransaction
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests

from mocks.rag.common.errors import Outcome, UpstreamError
from mocks.rag.common.log import get_logger
from mocks.rag.common.metrics import POOL_IN_USE, POOL_SIZE, POOL_WAITING
from mocks.rag.common.outbound import outbound
from mocks.rag.common.registry import Registry

CALLEE = "postgres"
CHECK_TIMEOUT_S = 0.5
CONNECT_TIMEOUT_S = 2
CLOSE_TIMEOUT_S = 2.0
RECONNECT_S = 2.0
"""psycopg_pool doubles its pauses between attempts to connect; giving up early lets the next request start afresh, so that a
database that is back is noticed at once."""

Connection = AsyncConnection[TupleRow]
Configure = Callable[[Connection], Awaitable[None]]


@dataclass(frozen=True)
class PoolLimits:
    """Bounds of a pool. `wait_s` for a free connection, `block_s` for the work done with it."""

    min_size: int = 1
    max_size: int = 8
    max_waiting: int = 256
    wait_s: float = 2.0
    block_s: float = 5.0
    idle_s: float = 60.0


class Pool:
    """Connections to one database, in autocommit mode (use `connection.transaction()` where several statements belong together).

    Every connection is checked when it is handed out and dropped when it lay idle for `idle_s`. When `pool_epoch` grows in the
    registry a new pool takes over and the old one closes once its connections are back. Gauges `rag_pool_*{pool=name}`.
    """

    def __init__(
        self,
        conninfo: str,
        *,
        name: str = CALLEE,
        limits: PoolLimits | None = None,
        registry: Registry | None = None,
        configure: Configure | None = None,
    ) -> None:
        self._conninfo = conninfo
        self._name = name
        self._limits = limits or PoolLimits()
        self._registry = registry
        self._configure = configure
        self._epoch = registry.setting("pool_epoch", 0) if registry else 0
        self._pool = self._new_pool()
        self._errors_at_success = 0
        self._closing: set[asyncio.Task[None]] = set()
        self._log = get_logger("pool")
        self._export()

    async def open(self) -> None:
        """Begin to connect, without waiting: a service starts while its database is away, and says so in `/ready`."""
        await self._pool.open()
        if self._registry is not None:
            self._registry.on_change(self._follow)

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.close(CLOSE_TIMEOUT_S)
        await asyncio.gather(*self._closing)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection for the block, counted as one call to `postgres`.

        Raises UpstreamError: timeout (none free within `wait_s`, the block took longer than `block_s`, or a statement longer than the
        database allows it), connect_error (the database is away), error (it is there and short of something). Other errors of the
        statements stay psycopg's.
        """
        with outbound(CALLEE), self._explained() as deadline:
            async with self._pool.connection(self._limits.wait_s) as connection:
                self._errors_at_success = self._connection_errors()
                with deadline.guard(connection):
                    yield connection

    async def check(self) -> str | None:
        """Readiness: None when the database answers, else why not."""
        try:
            async with self.connection() as connection:
                await connection.execute("")
        except UpstreamError as error:
            return error.message
        return None

    @contextmanager
    def _explained(self) -> Iterator[_Deadline]:
        deadline = _Deadline(self._limits.block_s)
        try:
            yield deadline
        except (PoolTimeout, TooManyRequests) as error:
            # Of all attempts since the last success, not of those during this wait: the pauses between them may be as long as the wait.
            refused = self._connection_errors() > self._errors_at_success
            raise UpstreamError(CALLEE, "connect_error" if refused else "timeout", str(error)) from error
        except ReadOnlySqlTransaction as error:  # a standby, or one that has run out of room: an outage for who must write
            raise UpstreamError(CALLEE, "error", str(error)) from error
        except OperationalError as error:
            if deadline.passed:
                raise UpstreamError(CALLEE, "timeout", f"no answer within {deadline.after_s:g} s") from error
            raise UpstreamError(CALLEE, _outcome(error), str(error)) from error

    def _new_pool(self) -> AsyncConnectionPool[Connection]:
        limits = self._limits
        return AsyncConnectionPool(
            self._conninfo,
            connection_class=AsyncConnection[TupleRow],
            kwargs={"autocommit": True, "connect_timeout": CONNECT_TIMEOUT_S, "application_name": self._name},
            min_size=limits.min_size,
            max_size=limits.max_size,
            max_waiting=limits.max_waiting,
            max_idle=limits.idle_s,
            timeout=limits.wait_s,
            check=_check,
            configure=self._configure,
            reconnect_timeout=RECONNECT_S,
            name=self._name,
            open=False,
        )

    def _connection_errors(self) -> int:
        return self._pool.get_stats().get("connections_errors", 0)

    def _follow(self) -> None:
        assert self._registry is not None  # only called back by one
        epoch = self._registry.setting("pool_epoch", 0)
        if epoch > self._epoch:
            self._log.warning("reopening the pool", pool=self._name, epoch=epoch)
            task = asyncio.get_running_loop().create_task(self._reopen())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        self._epoch = epoch

    async def _reopen(self) -> None:
        old, self._pool, self._errors_at_success = self._pool, self._new_pool(), 0
        await self._pool.open()
        await old.close(CLOSE_TIMEOUT_S)

    def _export(self) -> None:
        def statistic(name: str) -> int:
            return self._pool.get_stats().get(name, 0)

        POOL_SIZE.labels(self._name).set_function(lambda: statistic("pool_size"))
        POOL_IN_USE.labels(self._name).set_function(lambda: statistic("pool_size") - statistic("pool_available"))
        POOL_WAITING.labels(self._name).set_function(lambda: statistic("requests_waiting"))


def _outcome(error: OperationalError) -> Outcome:
    """By SQLSTATE: without one it is the connection that failed; 08 is said of connections, 57P of a server that stops or starts."""
    if isinstance(error, QueryCanceled):
        return "timeout"
    return "connect_error" if error.sqlstate is None or error.sqlstate.startswith(("08", "57P")) else "error"


class _Deadline:
    """Ends the work with a connection after a time by shutting its socket.

    Cancelling instead would make psycopg ask the server to cancel and wait for it, ten seconds where the server is frozen; a
    shut socket turns into an OperationalError at once, and the pool replaces the connection.
    """

    def __init__(self, after_s: float) -> None:
        self.after_s = after_s
        self.passed = False

    @contextmanager
    def guard(self, connection: Connection) -> Iterator[None]:
        """Let the block use the connection for at most `after_s`."""
        timer = asyncio.get_running_loop().call_later(self.after_s, self._sever, connection)
        try:
            yield
        finally:
            timer.cancel()

    def _sever(self, connection: Connection) -> None:
        self.passed = True
        if not connection.closed:
            with socket.socket(fileno=os.dup(connection.pgconn.socket)) as link:
                link.shutdown(socket.SHUT_RDWR)


async def _check(connection: Connection) -> None:
    """Validation at check-out: one round trip, bounded also where the server is frozen."""
    with _Deadline(CHECK_TIMEOUT_S).guard(connection):
        await connection.execute("")
