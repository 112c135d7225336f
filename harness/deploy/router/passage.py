"""Requests on their way to a version, and answers on their way back, as they come: nothing is decoded, and nothing is asked twice."""

from __future__ import annotations

import asyncio
import json
import re
from collections import defaultdict
from dataclasses import dataclass
from urllib.parse import urlsplit

from harness.deploy.router.table import Table
from harness.faults.proxy.framing import Framing, FramingError, Kind, Part
from harness.record.clock import NS_PER_S, Clock

VERSION_HEADER = "x-app-version"
"""By which a service says which build of it answers."""
SIDE_HEADER = "x-served-by"
_VERSION = re.compile(rb"\r\n" + VERSION_HEADER.encode() + rb":[ \t]*([^\r\n]*?)[ \t]*\r\n", re.IGNORECASE)
_CLOSES = re.compile(rb"\r\nconnection:[ \t]*close[ \t]*\r\n", re.IGNORECASE)
_READ_BYTES = 65_536
_REQUEST_BYTES_MAX = 32 << 20
_CONNECT_S = 5.0
_ANSWER_S = 120.0  # longer than any client of ours waits: a request's time is the client's own affair
_IDLE_NS = 2 * NS_PER_S  # services close idle connections after 5 s or more: one that is about to be closed must not be used


@dataclass(slots=True)
class _Upstream:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    idle_since_ns: int = 0


class NoAnswerError(Exception):
    """The version did not answer, or not to the end."""


class Upstreams:
    """Idle connections to the versions. A request gets one that is open as far as can be seen, or a new one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._idle: dict[str, list[_Upstream]] = defaultdict(list)

    async def take(self, url: str) -> _Upstream:
        """Raises NoAnswerError."""
        idle = self._idle[url]
        while idle:
            one = idle.pop()
            if self._clock.now_ns() - one.idle_since_ns < _IDLE_NS and not one.reader.at_eof():
                return one
            one.writer.close()
        parts = urlsplit(url)
        try:
            async with asyncio.timeout(_CONNECT_S):
                return _Upstream(*await asyncio.open_connection(parts.hostname, parts.port))
        except (OSError, TimeoutError) as error:
            raise NoAnswerError(f"no connection: {error or 'too late'}") from error

    def give_back(self, url: str, one: _Upstream) -> None:
        """For the next request."""
        one.idle_since_ns = self._clock.now_ns()
        self._idle[url].append(one)


class Passages:
    """What users connect to."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock
        self._upstreams = Upstreams(clock)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a client, request after request."""
        requests = Framing(requests=True)
        try:
            while (request := await _whole(reader, requests)) is not None:
                if not await self._pass(request, writer):
                    break
        except (OSError, FramingError):
            return  # the client has left, or speaks no HTTP/1.1
        finally:
            writer.close()

    async def _pass(self, request: bytes, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection can be used again."""
        start_ns = self._clock.now_ns()
        method, target = request.split(b" ", 2)[:2]
        route = target.split(b"?", 1)[0].decode("latin-1")
        lasting = not _CLOSES.search(request.split(b"\r\n\r\n", 1)[0] + b"\r\n")
        chosen = self._table.choose()
        if chosen is None:
            self._table.end(None, start_ns, self._clock.now_ns(), route, 503, None)
            await _say(writer, 503, "no version has any traffic", None)
            return lasting
        side, url = chosen
        answer = _Answer(side, writer, bodiless=method == b"HEAD")
        self._table.begin(side)
        try:
            one = await self._upstreams.take(url)
            if await self._exchange(one, request, answer):
                self._upstreams.give_back(url, one)
        except NoAnswerError as error:
            if answer.begun:
                return False  # what has begun can only be cut short
            answer.status = 502
            await _say(writer, 502, str(error), side)
            return lasting
        finally:
            self._table.end(side, start_ns, self._clock.now_ns(), route, answer.status, answer.version)
        return lasting and answer.lasting

    async def _exchange(self, one: _Upstream, request: bytes, answer: _Answer) -> bool:
        """Whether the upstream connection can be used again. Raises NoAnswerError."""
        whole = False
        try:
            async with asyncio.timeout(_ANSWER_S):
                one.writer.write(request)
                await one.writer.drain()
                while not answer.complete:
                    data = await one.reader.read(_READ_BYTES)
                    await answer.take(data)
            whole = answer.lasting
        except (ClientLeftError, OSError, FramingError, TimeoutError) as error:
            raise NoAnswerError(str(error) or "too late") from error
        finally:
            if not whole:
                one.writer.close()
        return whole


class ClientLeftError(Exception):
    """Nobody waits for this answer any more."""


class _Answer:
    """One answer on its way: passed on piece by piece, its head marked with the side that gave it."""

    def __init__(self, side: str, writer: asyncio.StreamWriter, *, bodiless: bool) -> None:
        self._mark = f"{SIDE_HEADER}: {side}\r\n\r\n".encode()
        self._writer = writer
        self._bodiless = bodiless
        self._framing = Framing(requests=False)
        self.status = 0  # until it is whole
        self.version: str | None = None
        self.begun = False
        self.complete = False
        self.lasting = True  # neither side closes the connection
        self._told = 0
        self._endless = False  # without a length, the end of the connection is the end of the answer

    async def take(self, data: bytes) -> None:
        """What came from the version; nothing: it has closed. Raises OSError where the answer is cut short."""
        if not data:
            if self._endless:
                self._end()
                return
            raise ConnectionResetError("the version closed the connection")
        self._framing.push(data)
        while (part := self._framing.pull(bodiless=self._bodiless)) is not None:
            self._pass(part)
        if self._writer.is_closing():
            raise ClientLeftError
        await self._writer.drain()

    def _pass(self, part: Part) -> None:
        data = part.data
        if part.kind is Kind.HEAD:
            status = int(data[9:12])
            if status >= 200:
                self._told = status
                found = _VERSION.search(data)
                self.version = found[1].decode("latin-1") if found is not None else None
                self._endless = not part.last and not _framed(data)
                self.lasting = not _CLOSES.search(data) and not self._endless
                data = data[:-2] + self._mark
        self.begun = True
        self._writer.write(data)
        if part.last:
            self._end()

    def _end(self) -> None:
        self.status = self._told
        self.complete = True


def _framed(head: bytes) -> bool:
    lower = head.lower()
    return b"\r\ncontent-length:" in lower or b"\r\ntransfer-encoding:" in lower


async def _whole(reader: asyncio.StreamReader, requests: Framing) -> bytes | None:
    """The next request, head and body; None where the client has closed. Raises FramingError."""
    parts: list[bytes] = []
    size = 0
    while True:
        while (part := requests.pull()) is not None:
            parts.append(part.data)
            size += len(part.data)
            if size > _REQUEST_BYTES_MAX:
                raise FramingError("longer than anybody would send")
            if part.last:
                return b"".join(parts)
        data = await reader.read(_READ_BYTES)
        if not data:
            return None
        requests.push(data)


async def _say(writer: asyncio.StreamWriter, status: int, message: str, side: str | None) -> None:
    """An answer of the router's own."""
    body = json.dumps({"error": {"code": "no_answer", "message": message}}).encode()
    who = f"{SIDE_HEADER}: {side}\r\n" if side is not None else ""
    head = f"HTTP/1.1 {status} No Answer\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n{who}\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
