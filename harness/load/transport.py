"""HTTP over geventhttpclient's parser: one request, one attempt, no hidden retries.

Imported by `users` alone, after gevent has patched the standard library: the plain `socket` calls below then wait cooperatively.
geventhttpclient's own client repeats idempotent requests on broken connections, which would hide exactly what a load test looks for.
"""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from geventhttpclient.response import HTTPSocketPoolResponse

from harness.load.http import BrokenBodyError, Reply, UnreachableError
from harness.record.clock import NS_PER_S, Clock

# Servers close idle connections (uvicorn after 5 s). One that is about to be closed must not be used: the request would fail for no
# fault of the service.
_MAX_IDLE_NS = 2 * NS_PER_S


class Connections:
    """Idle connections to one origin, the most recently used first. The interface is the one that HTTPSocketPoolResponse calls."""

    def __init__(self, origin: str, clock: Clock) -> None:
        parts = urlsplit(origin)
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._clock = clock
        self._address: tuple[Any, ...] | None = None  # family, kind, protocol, address
        self._idle: list[tuple[int, socket.socket]] = []

    def get_socket(self) -> socket.socket:
        """A connection that is open as far as can be seen. Raises OSError."""
        while self._idle:
            since_ns, sock = self._idle.pop()
            if self._clock.now_ns() - since_ns < _MAX_IDLE_NS and not _readable(sock):
                return sock
            sock.close()
        return self._connect()

    def return_socket(self, sock: socket.socket) -> None:
        self._idle.append((self._clock.now_ns(), sock))

    def release_socket(self, sock: socket.socket) -> None:
        sock.close()

    def _connect(self) -> socket.socket:
        if self._address is None:  # resolved once: the resolver's thread costs more than the connection
            *kind, _, address = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)[0]
            self._address = (*kind, address)
        *kind, address = self._address
        sock = socket.socket(*kind)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.connect(address)
            return self._tls.wrap_socket(sock, server_hostname=self._host) if self._tls else sock
        except BaseException:  # also a timeout raised from outside: the descriptor must not leak
            sock.close()
            raise


def _readable(sock: socket.socket) -> bool:
    """An idle connection that has something to read was closed by the server, or is out of step."""
    try:
        return bool(select.select([sock], [], [], 0)[0])
    except ValueError:  # a descriptor beyond select's limit: do not trust it
        return True


class GeventTransport:
    """The `Transport` of the load process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._origins: dict[str, Connections] = {}

    def warm(self, url: str, connections: int) -> None:
        """Open that many connections ahead of the first request. Raises UnreachableError."""
        pool = self._pool(url)
        try:
            opened = [pool.get_socket() for _ in range(connections)]
        except OSError as error:
            raise UnreachableError(str(error)) from error
        for sock in opened:
            pool.return_socket(sock)

    @contextmanager
    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Iterator[Reply]:
        pool = self._pool(url)
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            sock = pool.get_socket()
        except OSError as error:
            raise UnreachableError(str(error)) from error
        try:
            sock.sendall(_head(method, target, parts.netloc, headers, body) + (body or b""))
        except BaseException as error:  # also a timeout raised from outside: the descriptor must not leak
            pool.release_socket(sock)
            if isinstance(error, OSError):
                raise UnreachableError(str(error)) from error
            raise
        try:
            # Closes the socket itself where it fails.
            response = HTTPSocketPoolResponse(sock, pool, method=method)  # type: ignore[arg-type]  # it calls two methods, which ours has
        except (OSError, HTTPException) as error:
            raise UnreachableError(str(error)) from error
        with response:
            yield _GeventReply(response)

    def _pool(self, url: str) -> Connections:
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin not in self._origins:
            self._origins[origin] = Connections(origin, self._clock)
        return self._origins[origin]


class _GeventReply:
    def __init__(self, response: HTTPSocketPoolResponse) -> None:
        self._response = response

    @property
    def status(self) -> int:
        return int(self._response.status_code)

    def header(self, name: str) -> str | None:
        value = self._response.get(name)
        return value[0] if isinstance(value, list) else value

    def read(self) -> bytes:
        try:
            return bytes(self._response.read())
        except (OSError, HTTPException) as error:
            raise BrokenBodyError(str(error)) from error

    def lines(self) -> Iterator[bytes]:
        try:
            while line := self._response.readline(b"\n"):
                yield line
        except (OSError, HTTPException) as error:
            raise BrokenBodyError(str(error)) from error


def _head(method: str, target: str, host: str, headers: Mapping[str, str], body: bytes | None) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", f"host: {host}", "accept: */*", *(f"{name}: {value}" for name, value in headers.items())]
    if body is not None or method == "POST":
        lines.append(f"content-length: {len(body or b'')}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
