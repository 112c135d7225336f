"""A server whose answers take as long as a known distribution says: `python -m tests.benchmarks.load_target PORT SETTINGS.json`.

Settings: `{"delays_ms": [..]}`: the n-th request is answered after the n-th delay (again from the first one after the last). What each
answer really took, from the request read to the answer written, is told by `GET /served`: a machine with other work answers late, too.
To freeze it, stop the process (SIGSTOP) and let it go on.
"""

from __future__ import annotations

import asyncio
import heapq
import json
import sys
import time
from itertools import cycle
from pathlib import Path
from typing import cast

import httptools
import uvloop

from harness.load.timer import KernelTimer

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
TELLS = "/served"


class Target(asyncio.Protocol):
    """One connection; one request at a time."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._url = url

    def on_message_complete(self) -> None:
        if self._url == TELLS.encode():
            self._server.tell(self)
        else:
            self._server.asked(self)


class Server:
    """Answers when it is time, to some ten microseconds: the event loop's own timers are too coarse for what is measured."""

    def __init__(self, delays_ms: list[float]) -> None:
        self._delays_ns = cycle([round(delay * 1e6) for delay in delays_ms])
        self._due: list[tuple[int, int, int, Target]] = []  # when, number, asked when, by whom
        self._count = 0
        self._served_ns: list[int] = []
        self._timer = KernelTimer()
        asyncio.get_running_loop().add_reader(self._timer.fd, self._answer)

    def asked(self, target: Target) -> None:
        now_ns = time.monotonic_ns()
        delay_ns = next(self._delays_ns)
        if not delay_ns:
            self._write(target, now_ns)
            return
        self._count += 1
        heapq.heappush(self._due, (now_ns + delay_ns, self._count, now_ns, target))
        self._timer.arm(self._due[0][0])

    def tell(self, target: Target) -> None:
        """In ms, in the order of the answers."""
        body = json.dumps([served_ns / 1e6 for served_ns in self._served_ns]).encode()
        if target.transport is not None:
            target.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)

    def _answer(self) -> None:
        self._timer.clear()
        while self._due and self._due[0][0] <= time.monotonic_ns():
            *_, asked_ns, target = heapq.heappop(self._due)
            self._write(target, asked_ns)
        if self._due:
            self._timer.arm(self._due[0][0])

    def _write(self, target: Target, asked_ns: int) -> None:
        if target.transport is not None and not target.transport.is_closing():
            target.transport.write(ANSWER)
            self._served_ns.append(time.monotonic_ns() - asked_ns)


async def serve(port: int, settings: dict[str, list[float]]) -> None:
    server = Server(settings["delays_ms"])
    listening = await asyncio.get_running_loop().create_server(lambda: Target(server), "127.0.0.1", port, backlog=1024)
    async with listening:
        await listening.serve_forever()


def main() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())))


if __name__ == "__main__":
    main()
