"""The sockets: one session per accepted connection, one pipe per direction."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from harness.faults.proxy.exchange import HttpExchanges
from harness.faults.proxy.piece import Ending
from harness.faults.proxy.pipe import Pipe
from harness.faults.proxy.table import FaultTable

DIAL_TIMEOUT_S = 5.0
_LINGER_RST = struct.pack("ii", 1, 0)
Read = Callable[[bytes], None]


@dataclass(slots=True)
class Traffic:
    """What has passed since the start. Bytes are not counted: that would cost a tenth of the throughput."""

    connections: int = 0
    open: int = 0
    refused: int = 0  # by the upstream


class Side(asyncio.Protocol):
    """One of the two sockets of a session: feeds one pipe, is the sink of the other.

    `data_received` is changed as faults come and go: without any, what is read is written to the other socket without a detour.
    """

    def __init__(self, session: Session, feeds: Pipe, drains: Pipe) -> None:
        self._session = session
        self._feeds = feeds
        self._drains = drains
        self._transport: asyncio.Transport | None = None

    def read_by(self, read: Read) -> None:
        """Give what is read from now on to that."""
        if self.__dict__.get("data_received") == read:
            return
        self.data_received = read  # type: ignore[method-assign, assignment]  # the point of it: no call in between
        if self._transport is not None:
            self._transport.set_protocol(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._feeds.source = self._transport
        self._transport.set_protocol(self)  # uvloop has looked the method up before it was changed
        self._drains.open_to(self._transport)
        self._session.wire()

    def eof_received(self) -> bool:
        self._session.ended(self._feeds)
        return True  # half-close: the other direction goes on

    def connection_lost(self, exc: Exception | None) -> None:
        self._drains.close()
        self._session.lost(self._feeds, cut=exc is not None)

    def pause_writing(self) -> None:
        self._drains.hold_source("sink", True)

    def resume_writing(self) -> None:
        self._drains.hold_source("sink", False)


class Session:
    """One client connection and its own connection to the upstream, dialled without holding up other clients."""

    def __init__(self, table: FaultTable, upstream: tuple[str, int], traffic: Traffic) -> None:
        self._table = table
        self._upstream = upstream
        self._traffic = traffic
        self._up = Pipe(table, "upstream", self._on_ending)
        self._down = Pipe(table, "downstream", self._on_ending)
        self._client = Side(self, self._up, self._down)
        self._server = Side(self, self._down, self._up)
        self._http: HttpExchanges | None = None
        self._dial: asyncio.Task[None] | None = None
        self._open_sides = 0
        self._unwatch: Callable[[], object] = lambda: None

    def accept(self) -> asyncio.Protocol:
        """The protocol of the client's side."""
        self._traffic.connections += 1
        self._traffic.open += 1
        self._open_sides = 1
        self._unwatch = self._table.watch(self._follow)
        self._dial = asyncio.get_running_loop().create_task(self._dial_upstream())
        return self._client

    def wire(self) -> None:
        """Send what each side reads the shortest way that the faults in force allow."""
        if self._table.http and self._http is None:
            self._http = HttpExchanges(self._table, self._up, self._down)
        elif self._http is not None and not self._table.http and self._http.idle:
            self._http = None
        if self._http is not None:
            self._client.read_by(self._http.from_client)
            self._server.read_by(self._http.from_server)
            return
        for side, pipe in ((self._client, self._up), (self._server, self._down)):
            side.read_by(pipe.sink.write if pipe.plain and pipe.sink is not None else pipe.feed)

    def ended(self, pipe: Pipe) -> None:
        """The source of that direction has sent its last byte."""
        if self._http is not None and pipe is self._up:
            self._http.end_of_client()
        else:
            pipe.feed(b"", Ending.FIN)

    def lost(self, pipe: Pipe, *, cut: bool) -> None:
        """The source of that direction is gone; `cut`: by a reset, which travels on behind the bytes."""
        self._open_sides -= 1
        if cut:
            pipe.feed(b"", Ending.RST)
        if self._open_sides > 0:
            self.wire()
            return
        self._unwatch()
        if self._dial is not None:
            self._dial.cancel()
        if self._http is not None:
            self._http.close()
        self._traffic.open -= 1
        self._up.close()
        self._down.close()

    async def _dial_upstream(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(DIAL_TIMEOUT_S):
                await loop.create_connection(self._dialled, *self._upstream, family=_family(self._upstream[0]))
        except OSError:  # includes the timeout
            self._traffic.refused += 1
            if self._up.source is not None:
                reset(self._up.source)
            return
        if self._up.source is not None and self._up.source.is_closing() and self._down.source is not None:  # it left while we dialled
            self._down.source.abort()

    def _dialled(self) -> asyncio.Protocol:
        self._open_sides += 1
        return self._server

    def _follow(self) -> None:
        """A fault came or went."""
        self._up.follow(greet=True)
        self._down.follow(greet=True)
        if self._http is not None:
            self._http.follow()
        self.wire()

    def _on_ending(self, ending: Ending) -> None:
        """A direction has ended at its sink."""
        sides = [side for side in (self._up.source, self._down.source) if side is not None]
        if ending is Ending.RST:
            for side in sides:
                reset(side)
        elif ending is Ending.CLOSE or (self._up.ended and self._down.ended):
            for side in sides:
                side.close()
        self.wire()


def _family(host: str) -> socket.AddressFamily:
    """IPv4 for names: asking for addresses of both kinds waits seconds in networks whose resolver forwards the other question to nobody."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def reset(transport: asyncio.Transport) -> None:
    """Close with RST instead of FIN."""
    connection = transport.get_extra_info("socket")
    if connection is not None and not transport.is_closing():
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RST)
    transport.abort()
