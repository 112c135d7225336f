"""HTTP over plain sockets: one request, one attempt, no hidden retries.

In the Locust process gevent has patched `socket` before this is imported, so that all waiting is cooperative; elsewhere it blocks.
Ready-made clients repeat idempotent requests on broken connections, which would hide exactly what a load test looks for.
"""

from __future__ import annotations

import select
import socket
import ssl
from typing import Any, Protocol
from urllib.parse import urlsplit

from harness.load.http import Exchange, UnreachableError
from harness.load.receiver import Receiver
from harness.record.clock import NS_PER_S, Clock

# Servers close idle connections (uvicorn after 5 s). One that is about to be closed must not be used: the request would fail for no
# fault of the service.
MAX_IDLE_NS = 2 * NS_PER_S
_READ_BYTES = 65536


def verifying(trusted: str) -> ssl.SSLContext:
    """A client's context that verifies servers as browsers do; `trusted` are further authorities (PEM). Raises OSError for what is none."""
    context = ssl.create_default_context()
    if trusted:
        context.load_verify_locations(cadata=trusted)
    return context


class Poll(Protocol):
    """`select.poll`."""

    def register(self, fd: int, eventmask: int, /) -> None: ...

    def poll(self, timeout: float | None, /) -> list[tuple[int, int]]: ...


class Connection:
    """One connection with its parser and, while it is idle, the time since."""

    __slots__ = ("_poll", "idle_since_ns", "receiver", "sock")

    def __init__(self, sock: socket.socket, poll: Poll) -> None:
        self.sock = sock
        self.receiver = Receiver()
        self.idle_since_ns = 0
        self._poll = poll
        poll.register(sock.fileno(), select.POLLIN)

    @property
    def readable(self) -> bool:
        """An idle connection that has something to read was closed by the server, or is out of step."""
        return bool(self._poll.poll(0))


class Connections:
    """Idle connections to one origin, the most recently used first."""

    def __init__(self, origin: str, clock: Clock, new_poll: Any, tls: ssl.SSLContext | None) -> None:
        """`tls` None: in the clear."""
        parts = urlsplit(origin)
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = tls
        self._clock = clock
        self._new_poll = new_poll
        self._address: tuple[Any, ...] | None = None  # family, kind, protocol, address
        self._idle: list[Connection] = []

    def take(self) -> Connection:
        """A connection that is open as far as can be seen. Raises OSError."""
        while self._idle:
            one = self._idle.pop()
            if self._clock.now_ns() - one.idle_since_ns < MAX_IDLE_NS and not one.readable:
                return one
            one.sock.close()
        return self._connect()

    def give_back(self, one: Connection) -> None:
        one.idle_since_ns = self._clock.now_ns()
        self._idle.append(one)

    def _connect(self) -> Connection:
        if self._address is None:  # resolved once: the resolver's thread costs more than the connection
            *kind, _, address = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)[0]
            self._address = (*kind, address)
        *kind, address = self._address
        sock = socket.socket(*kind)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.connect(address)
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_hostname=self._host)
            return Connection(sock, self._new_poll())
        except BaseException:  # also a timeout raised from outside: the descriptor must not leak
            sock.close()
            raise


class SocketTransport:
    """A `Transport` on sockets. `new_poll` makes a poll object that does not yield to other greenlets; `trusted` is that of `verifying`."""

    def __init__(self, clock: Clock, trusted: str = "", new_poll: Any = select.poll) -> None:
        self._clock = clock
        self._trusted = trusted
        self._new_poll = new_poll
        self._origins: dict[str, Connections] = {}

    def warm(self, url: str, connections: int) -> None:
        """Open that many connections ahead of the first request. Raises UnreachableError."""
        parts = urlsplit(url)
        pool = self._pool(f"{parts.scheme}://{parts.netloc}")
        try:
            opened = [pool.take() for _ in range(connections)]
        except OSError as error:
            raise UnreachableError(str(error)) from error
        for one in opened:
            pool.give_back(one)

    def perform(self, exchange: Exchange) -> None:
        pool = self._pool(exchange.request.origin)
        try:
            one = pool.take()
        except OSError as error:
            raise UnreachableError(str(error)) from error
        sock, receiver = one.sock, one.receiver
        receiver.expect(exchange)
        try:
            self._talk(sock, receiver, exchange)
        except BaseException:  # also a timeout raised from outside: the descriptor must not leak
            sock.close()
            raise
        if receiver.reusable:
            pool.give_back(one)
        else:
            sock.close()

    def _talk(self, sock: socket.socket, receiver: Receiver, exchange: Exchange) -> None:
        try:
            sock.sendall(exchange.request.wire)
        except OSError as error:
            raise UnreachableError(str(error)) from error
        while not receiver.complete:
            try:
                data = sock.recv(_READ_BYTES)
            except OSError as error:  # reset: an end, but no orderly one
                raise receiver.broken(str(error)) from error
            if data:
                receiver.feed(data)
            else:
                receiver.end()

    def _pool(self, origin: str) -> Connections:
        if origin not in self._origins:
            tls = verifying(self._trusted) if origin.startswith("https:") else None
            self._origins[origin] = Connections(origin, self._clock, self._new_poll, tls)
        return self._origins[origin]
