"""A server of `mocks.http` on an event loop in a thread of its own, and clients that are bare sockets."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Self, TypeVar

import uvloop

from mocks.http.limits import Limits
from mocks.http.message import Handler
from mocks.http.server import Server

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
DEADLINE_S = 60.0
T = TypeVar("T")


def wait_until(condition: Callable[[], bool]) -> None:
    """Poll `condition` until it holds."""
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s, "the condition did not come to hold"
        time.sleep(0.005)


class Served:
    """`with Served(handler, "uvloop") as served:` serves on `served.port`."""

    def __init__(self, handler: Handler, loop: str, limits: Limits | None = None, host: str = "127.0.0.1") -> None:
        self._loop = LOOPS[loop]()
        self._host = host
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.server = self.call(lambda: Server(handler, limits))

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def call(self, function: Callable[[], T]) -> T:
        """What `function` returns when it is called on the server's loop."""
        if not self._thread.is_alive():
            self._thread.start()
        result: Future[T] = Future()

        def call() -> None:
            try:
                result.set_result(function())
            except Exception as error:  # noqa: BLE001 (raised in the caller's thread)
                result.set_exception(error)

        self._loop.call_soon_threadsafe(call)
        return result.result(DEADLINE_S)

    def start_stopping(self, grace_s: float) -> Future[None]:
        """Begin to stop; the future is done when it has."""
        return asyncio.run_coroutine_threadsafe(self.server.stop(grace_s), self._loop)

    @property
    def port(self) -> int:
        return self.server.port

    def client(self, *, receive_buffer: int | None = None) -> Client:
        """A connection to it."""
        return Client(("127.0.0.1", self.port), receive_buffer=receive_buffer)

    def __enter__(self) -> Self:
        asyncio.run_coroutine_threadsafe(self.server.start(self._host, 0), self._loop).result(DEADLINE_S)
        return self

    def __exit__(self, *exc: object) -> None:
        self.start_stopping(0.0).result(DEADLINE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(DEADLINE_S)
        self._loop.close()


class Client:
    """One TCP connection, which sees what a client sees: bytes, FIN, RST."""

    def __init__(self, address: tuple[str, int], family: int = socket.AF_INET, *, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(DEADLINE_S)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            self.socket.connect(address)
        except OSError:
            self.socket.close()
            raise
        self._buffer = b""

    def send(self, data: bytes) -> Self:
        self.socket.sendall(data)
        return self

    def get(self, path: str = "/", *headers: str, method: str = "GET", version: str = "1.1", body: bytes = b"") -> Self:
        """Send one request, its length declared where it has a body."""
        lines = [f"{method} {path} HTTP/{version}", "Host: test", *headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        return self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    def until(self, marker: bytes) -> bytes:
        """Everything up to and including `marker`."""
        while marker not in self._buffer:
            data = self.socket.recv(65536)
            assert data, f"the connection ended before {marker!r}: {self._buffer!r}"
            self._buffer += data
        end = self._buffer.index(marker) + len(marker)
        found, self._buffer = self._buffer[:end], self._buffer[end:]
        return found

    def exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            data = self.socket.recv(65536)
            assert data, f"the connection ended: {self._buffer!r}"
            self._buffer += data
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of an answer that declares its length, or has none."""
        head = self.head()
        return *head, self.exactly(int(head[1].get("content-length", 0)))

    def head(self) -> tuple[int, dict[str, str]]:
        """Status and headers."""
        lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")[:-2]
        version, status, _ = lines[0].split(" ", 2)
        assert version == "HTTP/1.1"
        return int(status), dict(line.split(": ", 1) for line in lines[1:])

    def rest(self) -> tuple[bytes, str]:
        """Everything to the end of the connection, and how it ends: `eof` or `reset`."""
        data, self._buffer = self._buffer, b""
        while True:
            try:
                more = self.socket.recv(65536)
            except ConnectionResetError:
                return data, "reset"
            if not more:
                return data, "eof"
            data += more

    def silent(self, for_s: float) -> bool:
        """Whether nothing comes for that long: no byte, no end."""
        self.socket.settimeout(for_s)
        try:
            self._buffer += self.socket.recv(65536)
        except TimeoutError:
            return not self._buffer
        finally:
            self.socket.settimeout(DEADLINE_S)
        return False

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
