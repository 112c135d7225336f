"""The least server that the proxies' benchmark can stand before: `python -m tests.benchmarks.proxy_upstream PORT`

GET /small is answered with 99 bytes; GET /stream with 64 server-sent events, one every 20 ms.
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import uvloop

EVENTS = 64
GAP_S = 0.02
SMALL = b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n" + b"x" * 99
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


class Answering(asyncio.Protocol):
    """One connection; requests come one at a time, each in one piece."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._left = 0

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"GET /stream"):
            self._transport.write(HEAD)
            self._left = EVENTS
            self._next()
        else:
            self._transport.write(SMALL * data.count(b"\r\n\r\n"))

    def _next(self) -> None:
        if self._transport.is_closing():
            return
        self._left -= 1
        event = b'data: {"content": "token"}\n\n' if self._left else b"data: [DONE]\n\n"
        self._transport.write(b"%x\r\n%s\r\n" % (len(event), event))
        if self._left:
            asyncio.get_running_loop().call_later(GAP_S, self._next)
        else:
            self._transport.write(b"0\r\n\r\n")


async def serve(port: int) -> None:
    """Until killed."""
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
