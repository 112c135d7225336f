"""The sockets: one session per accepted connection, one pipe per direction."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from harness.faults.proxy.table import Direction, Entry, FaultTable
from harness.faults.proxy.toxics import Ending, Piece, Shaper

DIAL_TIMEOUT_S = 5.0
HELD_BYTES_MAX = 64 * 1024 * 1024
"""Bytes that faults may hold back in one direction before the sender is made to wait: a bound on memory, not a throttle."""
TIMER_GRAIN_S = 0.0005  # timers have milliseconds; rounding up keeps the promise that nothing leaves early
_LINGER_RST = struct.pack("ii", 1, 0)


@dataclass(slots=True)
class Traffic:
    """What has passed since the start."""

    connections: int = 0
    open: int = 0
    refused: int = 0
    upstream_bytes: int = 0
    downstream_bytes: int = 0


class Pipe:
    """One direction: what `source` reads is written to `sink`, at once or when the faults in force let it."""

    def __init__(self, table: FaultTable, direction: Direction, on_end: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._table = table
        self._direction: Direction = direction
        self._on_end = on_end
        self._queue: deque[Piece] = deque()
        self._held_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._shapers: dict[int, tuple[Entry, Shaper]] = {}
        self._waiting_for: set[str] = set()
        self._unwatch = table.watch(self._reshape)
        self.source: asyncio.Transport | None = None
        self.sink: asyncio.Transport | None = None
        self.ended = False

    def feed(self, data: bytes, ending: Ending | None = None) -> None:
        """Take what was read; `ending` follows the data."""
        now_s = self._loop.time()
        entries = self._table.active(self._direction)
        if not entries and not self._queue and self.sink is not None:
            self._send(Piece(now_s, now_s, data, ending))
            return
        self._enqueue(self._shape(Piece(now_s, now_s, data, ending), entries))
        self._release()

    def open_to(self, sink: asyncio.Transport) -> None:
        """What was read so far can leave now."""
        self.sink = sink
        self._release()

    def hold_source(self, reason: str, hold: bool) -> None:
        """Stop reading while any reason holds: what waits in memory is bounded."""
        before = bool(self._waiting_for)
        (self._waiting_for.add if hold else self._waiting_for.discard)(reason)
        after = bool(self._waiting_for)
        if before == after or self.source is None or self.source.is_closing():
            return
        if after:
            self.source.pause_reading()
        else:
            self.source.resume_reading()

    def close(self) -> None:
        """Forget what waits; idempotent."""
        self._unwatch()
        self._queue.clear()
        self._held_bytes = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _shape(self, piece: Piece, entries: tuple[Entry, ...], *, again: bool = False) -> list[Piece]:
        pieces, data = [piece], b"" if again else piece.data  # what is shaped again has been counted
        for entry in entries:
            shaper = self._shaper(entry)
            shaped = [piece for one in pieces for piece in shaper(one)]
            if data and shaped != pieces:
                entry.chunks += 1
                entry.bytes += len(data)
            pieces = shaped
        return pieces

    def _shaper(self, entry: Entry) -> Shaper:
        known = self._shapers.get(id(entry))
        if known is None:
            # The entry is kept beside its shaper, so that its id cannot be given to another while we hold it.
            known = self._shapers[id(entry)] = (entry, entry.toxic.shaper(entry.random))
        return known[1]

    def _enqueue(self, pieces: list[Piece]) -> None:
        for piece in pieces:
            earliest_s = self._queue[-1].due_s if self._queue else 0.0  # jitter never reorders
            self._queue.append(piece if piece.due_s >= earliest_s else piece._replace(due_s=earliest_s))
            self._held_bytes += len(piece.data)

    def _release(self) -> None:
        """Send what is due and set the timer for the rest. Until the upstream is dialled everything waits."""
        self.hold_source("held", self._held_bytes > HELD_BYTES_MAX)
        if self.sink is None:
            return
        now_s = self._loop.time()
        while self._queue and self._queue[0].due_s <= now_s:
            piece = self._queue.popleft()
            self._held_bytes -= len(piece.data)
            self._send(piece)
        self.hold_source("held", self._held_bytes > HELD_BYTES_MAX)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._queue[0].due_s + TIMER_GRAIN_S, self._release) if self._queue else None

    def _reshape(self) -> None:
        """A fault was taken away: what waits is shaped again, from its arrival, by those that remain."""
        entries = self._table.active(self._direction)
        self._shapers = {id(e): self._shapers[id(e)] for e in entries if id(e) in self._shapers}
        waiting = [piece._replace(due_s=piece.arrived_s) for piece in self._queue]
        self._queue.clear()
        self._held_bytes = 0
        for piece in waiting:
            self._enqueue(self._shape(piece, entries, again=True))
        self._release()

    def _send(self, piece: Piece) -> None:
        sink = cast(asyncio.Transport, self.sink)  # both callers have looked
        if sink.is_closing():
            return
        if piece.data:
            sink.write(piece.data)
        if piece.ending is Ending.RST:
            self.ended = True
            reset(sink)
        elif piece.ending is Ending.FIN:
            self.ended = True
            sink.write_eof()
            self._on_end()


class Side(asyncio.Protocol):
    """One of the two sockets of a session: feeds one pipe, is the sink of the other."""

    def __init__(self, feeds: Pipe, drains: Pipe, on_lost: Callable[[], None], count: Callable[[int], None]) -> None:
        self._feeds = feeds
        self._drains = drains
        self._on_lost = on_lost
        self._count = count

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._feeds.source = cast(asyncio.Transport, transport)
        self._drains.open_to(self._feeds.source)

    def data_received(self, data: bytes) -> None:
        self._count(len(data))
        self._feeds.feed(data)

    def eof_received(self) -> bool:
        self._feeds.feed(b"", Ending.FIN)
        return True  # half-close: the other direction goes on

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            self._feeds.feed(b"", Ending.RST)
        self._drains.close()
        self._on_lost()

    def pause_writing(self) -> None:
        self._drains.hold_source("sink", True)

    def resume_writing(self) -> None:
        self._drains.hold_source("sink", False)


class Session:
    """One client connection and its own connection to the upstream, dialled without holding up other clients."""

    def __init__(self, table: FaultTable, upstream: tuple[str, int], traffic: Traffic) -> None:
        self._upstream = upstream
        self._traffic = traffic
        self._up = Pipe(table, "upstream", self._ended)
        self._down = Pipe(table, "downstream", self._ended)
        self._client: asyncio.Transport | None = None
        self._dial: asyncio.Task[None] | None = None
        self._open_sides = 0

    def accept(self) -> asyncio.Protocol:
        """The protocol of the client's side."""
        session = self

        class Client(Side):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                super().connection_made(transport)
                session._accepted(cast(asyncio.Transport, transport))

        return Client(self._up, self._down, self._lost, self._sent_up)

    def _accepted(self, client: asyncio.Transport) -> None:
        self._traffic.connections += 1
        self._traffic.open += 1
        self._open_sides += 1
        self._client = client
        self._dial = asyncio.get_running_loop().create_task(self._dial_upstream(client))

    async def _dial_upstream(self, client: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(DIAL_TIMEOUT_S):
                await loop.create_connection(lambda: Side(self._down, self._up, self._lost, self._sent_down), *self._upstream)
        except OSError:  # includes the timeout
            self._traffic.refused += 1
            reset(client)
            return
        self._open_sides += 1
        if client.is_closing() and self._down.source is not None:  # it left while we dialled
            self._down.source.abort()

    def _ended(self) -> None:
        if self._up.ended and self._down.ended:
            for transport in (self._up.source, self._down.source):
                if transport is not None:
                    transport.close()

    def _lost(self) -> None:
        self._open_sides -= 1
        if self._open_sides == 0:
            if self._dial is not None:
                self._dial.cancel()
            self._traffic.open -= 1
            self._up.close()
            self._down.close()

    def _sent_up(self, count: int) -> None:
        self._traffic.upstream_bytes += count

    def _sent_down(self, count: int) -> None:
        self._traffic.downstream_bytes += count


def reset(transport: asyncio.Transport) -> None:
    """Close with RST instead of FIN."""
    connection = transport.get_extra_info("socket")
    if connection is not None and not transport.is_closing():
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RST)
    transport.abort()
