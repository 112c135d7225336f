"""A server: where it listens, whom it serves, and how it stops."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Sequence

from mocks.http import wire
from mocks.http.connection import Connection
from mocks.http.limits import Limits
from mocks.http.listener import Listener, bind
from mocks.http.message import Handler
from mocks.http.timers import Timers

_TICK_S = 1.0
"""How often the date is set and connections are looked after, unless the limits are shorter."""

_ENDING = (signal.SIGTERM, signal.SIGINT)


class Server:
    """Answers requests on one port with `handler`, on the event loop that runs `start`."""

    def __init__(self, handler: Handler, limits: Limits | None = None) -> None:
        self.handler = handler
        self.limits = Limits() if limits is None else limits
        self.closing = False
        self.date = wire.date_line(time.time())
        self.loop: asyncio.AbstractEventLoop
        self.timers: Timers
        self._listeners: list[Listener] = []
        self._connections: set[Connection] = set()
        self._opened = 0
        self._port = 0
        self._stopped = False
        self._empty = asyncio.Event()
        self._tick: asyncio.TimerHandle | None = None
        self._tick_s = min(_TICK_S, self.limits.request_s / 4, self.limits.idle_s / 4, self.limits.linger_s / 4)

    @property
    def port(self) -> int:
        """Where it listens; 0 before `start`."""
        return self._port

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._connections)

    async def start(self, host: str, port: int) -> None:
        """Listen on every address of `host` ("" for all of the machine's); port 0 finds a free one. Raises OSError."""
        self.loop = asyncio.get_running_loop()
        self.timers = Timers(self.loop)
        sockets = bind(host, port)
        self._port = sockets[0].getsockname()[1]
        self._listeners = [Listener(self.loop, sock, lambda: Connection(self)) for sock in sockets]
        try:
            for listener in self._listeners:
                await listener.open()
        except OSError:
            self._close_listeners()
            raise
        self._look_after()

    def refuse(self) -> None:
        """Refuse connects (ECONNREFUSED) and close idle connections, as if no process were there. Answers under way are completed."""
        if self.closing:
            return
        self.closing = True
        for listener in self._listeners:
            listener.refuse()
        self._close_idle()

    def accept(self) -> None:
        """Serve again after `refuse`."""
        if not self.closing or self._stopped:
            return
        self.closing = False
        for listener in self._listeners:
            listener.accept()

    async def stop(self, grace_s: float) -> None:
        """Take no further request, complete the answers under way for up to `grace_s`, then drop what is left."""
        self._stopped = self.closing = True
        self._close_listeners()
        self._close_idle()
        if self._connections:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), grace_s)
        self.abort()
        while self._connections:
            await self._empty.wait()
        if self._tick is not None:
            self._tick.cancel()
        self.timers.close()

    def abort(self) -> None:
        """Drop every connection now."""
        for connection in list(self._connections):
            connection.abort()

    # --- from its connections

    def opened(self, connection: Connection) -> int:
        """Count a connection in; its number, from 1."""
        self._connections.add(connection)
        self._empty.clear()
        self._opened += 1
        return self._opened

    def closed(self, connection: Connection) -> None:
        """Count a connection out."""
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()

    # --- within

    def _look_after(self) -> None:
        self.date = wire.date_line(time.time())
        now_s = time.monotonic()
        for connection in list(self._connections):
            connection.look_after(now_s)
        self._tick = self.loop.call_later(self._tick_s, self._look_after)

    def _close_idle(self) -> None:
        for connection in list(self._connections):
            connection.close_if_idle()

    def _close_listeners(self) -> None:
        for listener in self._listeners:
            listener.close()
        self._listeners = []


async def run(servers: Sequence[Server], grace_s: float) -> None:
    """Let started servers serve until SIGTERM or SIGINT, then stop them, all with the same `grace_s`; a second signal ends the grace.

    From then on the process ignores both: it is leaving, and to be told so once more while it clears up must not look like a crash.
    """
    loop = asyncio.get_running_loop()
    asked, urged = asyncio.Event(), asyncio.Event()
    for number in _ENDING:
        loop.add_signal_handler(number, lambda: urged.set() if asked.is_set() else asked.set())
    try:
        await asked.wait()
        stopping = asyncio.gather(*(server.stop(grace_s) for server in servers))
        hurry = asyncio.ensure_future(urged.wait())
        await asyncio.wait((stopping, hurry), return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        if not stopping.done():
            for server in servers:
                server.abort()
        await stopping
    finally:
        for number in _ENDING:
            _ignore(loop, number)


def _ignore(loop: asyncio.AbstractEventLoop, number: signal.Signals) -> None:
    """In the place of the loop's handler, without a moment at which the signal would kill."""
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    loop.remove_signal_handler(number)
    signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, held)
