"""Connections of the asyncio engine: one request at a time each, pooled by origin; an exchange is told when its answer is whole."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Protocol, cast
from urllib.parse import urlsplit

from harness.load.http import Exchange, UnreachableError
from harness.load.receiver import Receiver
from harness.load.transport import MAX_IDLE_NS, verifying
from harness.record.clock import Clock


class Waiting(Protocol):
    """Who waits for an answer."""

    def answered(self) -> None:
        """It is whole."""
        ...

    def failed(self, error: Exception) -> None:
        """UnreachableError, or BrokenBodyError once the head was there."""
        ...


class Connection(asyncio.Protocol):
    """One connection. The event loop calls the methods without a docstring."""

    __slots__ = ("_give_back", "_receiver", "_transport", "_waiting", "closed", "idle_since_ns")

    def __init__(self, give_back: Callable[[Connection], None]) -> None:
        self._give_back = give_back
        self._receiver = Receiver()
        self._transport: asyncio.Transport | None = None
        self._waiting: Waiting | None = None
        self.closed = False
        self.idle_since_ns = 0

    def ask(self, exchange: Exchange, waiting: Waiting) -> None:
        """Send; `waiting` is told once, unless the connection is aborted before."""
        assert self._transport is not None
        self._receiver.expect(exchange)
        self._waiting = waiting
        self._transport.write(exchange.request.wire)

    def abort(self) -> None:
        """Drop it, with whatever is under way. Nobody is told."""
        self._waiting = None
        self.closed = True
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        receiver = self._receiver
        try:
            receiver.feed(data)
        except Exception as error:  # noqa: BLE001  # also a defect of a journey: whoever waits must hear of it
            self._fail(error)
            return
        if receiver.complete:
            self._complete()

    def eof_received(self) -> bool | None:
        try:
            self._receiver.end()
        except Exception as error:  # noqa: BLE001  # see above
            self._fail(error)
        else:
            self._complete()
        return None  # close

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self._waiting is not None:
            self._fail(self._receiver.broken(str(exc or "the connection was closed")))

    def _complete(self) -> None:
        waiting, self._waiting = self._waiting, None
        if self._receiver.reusable:
            self._give_back(self)  # before the next step, which may ask on it again
        else:
            self.abort()
        if waiting is not None:
            waiting.answered()

    def _fail(self, error: Exception) -> None:
        waiting = self._waiting
        self.abort()
        if waiting is not None:
            waiting.failed(error)


class Pool:
    """Idle connections by origin, the most recently used first."""

    def __init__(self, clock: Clock, trusted: str = "") -> None:
        """`trusted` is that of `verifying`."""
        self._clock = clock
        self._idle: dict[str, list[Connection]] = {}
        self._opening: set[asyncio.Task[None]] = set()
        self._trusted = trusted
        self._tls: ssl.SSLContext | None = None

    async def warm(self, url: str, connections: int) -> None:
        """Open that many connections ahead of the first request. Raises OSError."""
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        for one in [await self._connect(origin) for _ in range(connections)]:
            self._keep(origin, one)

    def ask(self, exchange: Exchange, waiting: Waiting, opened: Callable[[Connection], bool]) -> None:
        """Send on an idle connection, or on a new one. `opened` is given the connection, and says whether it is still wanted."""
        origin = exchange.request.origin
        idle = self._idle.get(origin)
        while idle:
            one = idle.pop()
            if one.closed:
                continue
            if self._clock.now_ns() - one.idle_since_ns >= MAX_IDLE_NS:
                one.abort()
                continue
            opened(one)
            one.ask(exchange, waiting)
            return
        task = asyncio.get_running_loop().create_task(self._open(exchange, waiting, opened))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, exchange: Exchange, waiting: Waiting, opened: Callable[[Connection], bool]) -> None:
        origin = exchange.request.origin
        try:
            one = await self._connect(origin)
        except OSError as error:
            waiting.failed(UnreachableError(str(error)))
            return
        if opened(one):
            one.ask(exchange, waiting)
        else:
            self._keep(origin, one)

    async def _connect(self, origin: str) -> Connection:
        parts = urlsplit(origin)
        tls = self._context() if parts.scheme == "https" else None
        port = parts.port or (443 if tls else 80)
        loop = asyncio.get_running_loop()
        host = parts.hostname or ""
        _, one = await loop.create_connection(lambda: Connection(lambda me: self._keep(origin, me)), host, port, ssl=tls)
        return one

    def _context(self) -> ssl.SSLContext:
        """One for all: reading the certificates takes longer than a request."""
        if self._tls is None:
            self._tls = verifying(self._trusted)
        return self._tls

    def _keep(self, origin: str, one: Connection) -> None:
        one.idle_since_ns = self._clock.now_ns()
        self._idle.setdefault(origin, []).append(one)
