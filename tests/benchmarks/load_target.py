"""A server whose answers take as long as a known distribution says: `python -m tests.benchmarks.load_target PORT SETTINGS.json`.

Settings: `{"delays_ms": [..]}`: the n-th request is answered after the n-th delay (again from the first one after the last), counted from
its arrival by the kernel's clock (SO_TIMESTAMPNS, socket(7)): a server that reads it late waits the less. What each answer really took,
from that arrival until it was written, is told by `GET /served`: a machine with other work answers late, too. To freeze it, stop the
process (SIGSTOP) and let it go on.
"""

from __future__ import annotations

import asyncio
import heapq
import json
import socket
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import cycle
from pathlib import Path

import httptools
import uvloop

from harness.load.timer import KernelTimer
from harness.record.clock import NS_PER_S

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
TELLS = "/served"
SO_TIMESTAMPNS = 35  # asm-generic/socket.h; `socket` has no name for it
_READ_BYTES = 65536
_TIMESPEC = struct.Struct("qq")


class Target:
    """One connection; one request at a time."""

    def __init__(self, server: Server, sock: socket.socket) -> None:
        self._server = server
        self._sock = sock
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._arrived_ns = 0
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        asyncio.get_running_loop().add_reader(sock.fileno(), self._read)

    def on_url(self, url: bytes) -> None:
        self._url = url

    def on_message_complete(self) -> None:
        if self._url == TELLS.encode():
            self._sock.setblocking(True)  # all is over: nothing is timed any more
            self._sock.sendall(self._server.told())
            self._sock.setblocking(False)
        else:
            self._server.asked(self._arrived_ns, self._answer)

    def _read(self) -> None:
        try:
            data, known, *_ = self._sock.recvmsg(_READ_BYTES, socket.CMSG_SPACE(_TIMESPEC.size))
        except BlockingIOError:
            return
        except OSError:
            data, known = b"", []
        if not data:
            asyncio.get_running_loop().remove_reader(self._sock.fileno())
            self._sock.close()
            return
        self._arrived_ns = time.monotonic_ns()
        # The kernel begins to stamp a moment after it was asked to; its stamps are times of day.
        if (stamp := next((_TIMESPEC.unpack(value) for _, kind, value in known if kind == SO_TIMESTAMPNS), None)) is not None:
            self._arrived_ns -= max(0, time.time_ns() - (stamp[0] * NS_PER_S + stamp[1]))
        self._parser.feed_data(data)

    def _answer(self) -> None:
        with suppress(OSError):  # whoever asked has left
            self._sock.send(ANSWER)


class Server:
    """Answers when it is time, to some ten microseconds: the event loop's own timers are too coarse for what is measured."""

    def __init__(self, delays_ms: list[float]) -> None:
        self._delays_ns = cycle([round(delay * 1e6) for delay in delays_ms])
        self._due: list[tuple[int, int, int, Callable[[], None]]] = []  # when, number, when it arrived, the answer
        self._count = 0
        self._served_ns: list[int] = []
        self._timer = KernelTimer()
        asyncio.get_running_loop().add_reader(self._timer.fd, self._answer)

    def asked(self, arrived_ns: int, answer: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._due, (arrived_ns + next(self._delays_ns), self._count, arrived_ns, answer))
        self._timer.arm(self._due[0][0])

    def told(self) -> bytes:
        """In ms, in the order of the answers."""
        body = json.dumps([served_ns / 1e6 for served_ns in self._served_ns]).encode()
        return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body

    def _answer(self) -> None:
        self._timer.clear()
        while self._due and self._due[0][0] <= time.monotonic_ns():
            *_, arrived_ns, answer = heapq.heappop(self._due)
            answer()
            self._served_ns.append(time.monotonic_ns() - arrived_ns)
        if self._due:
            self._timer.arm(self._due[0][0])


async def serve(port: int, settings: dict[str, list[float]]) -> None:
    server = Server(settings["delays_ms"])
    with socket.create_server(("127.0.0.1", port), backlog=1024) as listener:
        listener.setblocking(False)
        while True:
            sock, _ = await asyncio.get_running_loop().sock_accept(listener)
            sock.setblocking(False)
            Target(server, sock)


def main() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())))


if __name__ == "__main__":
    main()
