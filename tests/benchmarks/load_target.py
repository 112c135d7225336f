"""A server whose answers take as long as a known distribution says: `python -m tests.benchmarks.load_target PORT SETTINGS.json`.

Settings: `{"delays_ms": [..]}`: the n-th request is answered after the n-th delay (again from the first one after the last). To freeze it,
stop the process (SIGSTOP) and let it go on.
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


class Target(asyncio.Protocol):
    """One connection; one request at a time."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._parser = httptools.HttpRequestParser(self)
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self._server.asked(self)


class Server:
    """Answers when it is time, to some ten microseconds: the event loop's own timers are too coarse for what is measured."""

    def __init__(self, delays_ms: list[float]) -> None:
        self._delays_ns = cycle([round(delay * 1e6) for delay in delays_ms])
        self._due: list[tuple[int, int, Target]] = []
        self._count = 0
        self._timer = KernelTimer()
        asyncio.get_running_loop().add_reader(self._timer.fd, self._answer)

    def asked(self, target: Target) -> None:
        now_ns = time.monotonic_ns()
        delay_ns = next(self._delays_ns)
        if not delay_ns:
            self._write(target)
            return
        self._count += 1
        heapq.heappush(self._due, (now_ns + delay_ns, self._count, target))
        self._timer.arm(self._due[0][0])

    def _answer(self) -> None:
        self._timer.clear()
        while self._due and self._due[0][0] <= time.monotonic_ns():
            self._write(heapq.heappop(self._due)[2])
        if self._due:
            self._timer.arm(self._due[0][0])

    def _write(self, target: Target) -> None:
        if target.transport is not None and not target.transport.is_closing():
            target.transport.write(ANSWER)


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
