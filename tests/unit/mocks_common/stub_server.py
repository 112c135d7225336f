"""A scripted HTTP/1.1 server on the test's own event loop, which can be closed with all its connections and opened again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self


@dataclass
class Exchange:
    """What a handler gets: the request, and the writer to answer on."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    writer: asyncio.StreamWriter

    async def answer(self, status: int = 200, body: bytes = b"{}", headers: dict[str, str] | None = None) -> None:
        lines = [f"HTTP/1.1 {status} Status", f"content-length: {len(body)}", *(f"{k}: {v}" for k, v in (headers or {}).items())]
        self.writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await self.writer.drain()

    async def start_stream(self) -> None:
        self.writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        await self.writer.drain()

    async def chunk(self, data: bytes) -> None:
        """One chunk; an empty one ends the stream."""
        self.writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        await self.writer.drain()


Handler = Callable[[Exchange], Awaitable[None]]


async def answer_ok(exchange: Exchange) -> None:
    await exchange.answer()


def answering(status: int, headers: dict[str, str] | None = None) -> Handler:
    async def handler(exchange: Exchange) -> None:
        await exchange.answer(status, headers=headers)

    return handler


async def hang_up(exchange: Exchange) -> None:
    exchange.writer.transport.abort()


async def never(exchange: Exchange) -> None:
    await asyncio.Event().wait()


@dataclass
class StubServer:
    """`handler` answers everything but `/ready`, which answers 200 while `ready` is true."""

    handler: Handler = answer_ok
    ready: bool = True
    port: int = 0
    requests: list[Exchange] = field(default_factory=list)
    _server: asyncio.Server | None = None
    _connections: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and drop every connection, as a killed process does."""
        assert self._server is not None
        self._server.close()
        connections = list(self._connections)
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                exchange = await self._read(head, reader, writer)
                if exchange.path == "/ready":
                    await exchange.answer(200 if self.ready else 503)
                else:
                    self.requests.append(exchange)
                    await self.handler(exchange)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _read(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Exchange:
        first, *lines = head.decode().rstrip().split("\r\n")
        method, path, _ = first.split(" ")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return Exchange(method, path, headers, body, writer)


def write_registry(path: Path, services: dict[str, list[str]], *, revision: int = 1, **settings: object) -> None:
    """`services`: name → URLs; replaced atomically, as the deployment does."""
    listed = {name: [{"name": f"{name}-{n}", "url": url, "weight": 1} for n, url in enumerate(urls, 1)] for name, urls in services.items()}
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps({"revision": revision, "services": listed, "settings": settings}))
    draft.replace(path)


async def until(condition: Callable[[], bool], what: str, deadline_s: float = 30.0) -> None:
    """Poll on the event loop until `condition()`; fail with `what` after the deadline."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + deadline_s
    while not condition():
        assert loop.time() < end_s, f"not within {deadline_s} s: {what}"
        await asyncio.sleep(0.01)
