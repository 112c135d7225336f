"""One connection: requests in, one answer after the other out, and every way in which a connection ends."""

import asyncio
import json
import math
import socket
import struct
from collections.abc import Callable
from time import monotonic
from typing import Protocol, cast

from mocks.http import wire
from mocks.http.incoming import Arrived, Incoming, Refused
from mocks.http.limits import Limits
from mocks.http.message import Cut, Handler
from mocks.http.reply import Exchange
from mocks.http.timers import Timers

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""`struct linger`: on, for zero seconds."""


class House(Protocol):
    """What a connection needs of its server."""

    handler: Handler
    limits: Limits
    loop: asyncio.AbstractEventLoop
    timers: Timers
    date: bytes
    closing: bool
    """Whether connections close after the answer that is under way."""

    def opened(self, connection: "Connection") -> int: ...
    def closed(self, connection: "Connection") -> None: ...


class Connection(asyncio.Protocol):
    """Serves one client.

    While an answer is pending, what the client sends ahead is read and kept unparsed, so that its leaving is noticed all the same.
    """

    put: Callable[[bytes], object]
    """Send bytes: the transport's own method, one call less for every chunk."""

    def __init__(self, house: House) -> None:
        self.congested = False
        self.drained: Callable[[], None] | None = None
        self.timers = house.timers
        self.soon = house.loop.call_soon
        self.deadline_s = math.inf
        """When the server's patience ends, on the clock of `time.monotonic`."""
        self._house = house
        self._reply: Exchange | None = None
        self._ahead = bytearray()
        self._reading_paused = False
        self._serving = False
        self._receiving = False
        self._deaf = False
        self._half_closed = False
        self._cut_next: Cut | None = None

    @property
    def date(self) -> bytes:
        """The `date` header of the moment."""
        return self._house.date

    @property
    def closes(self) -> bool:
        """Whether the server takes no further request here."""
        return self._house.closing

    @property
    def idle(self) -> bool:
        """Whether no request is being received or answered."""
        return self._reply is None and not self._incoming.partial and not self._incoming.queue

    # --- from the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._incoming = Incoming(self._house.opened(self), self._house.limits)
        self.put = self._transport.write
        self.deadline_s = monotonic() + self._house.limits.idle_s

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        if self._reply is not None or self._incoming.queue:
            self._keep(data)
        elif self._cut_next is not None:
            self.cut(self._cut_next)
        else:
            self._incoming.feed(data)
            self._serve()

    def eof_received(self) -> None:
        if self._reply is not None:
            self._hung_up()
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (why it was lost makes no difference)
        self._deaf = True
        self._ahead.clear()
        self._incoming.queue.clear()
        self.deadline_s = math.inf
        self._hung_up()
        self._house.closed(self)

    def pause_writing(self) -> None:
        self.congested = True

    def resume_writing(self) -> None:
        self.congested = False
        reply, drained = self._reply, self.drained
        self.drained = None
        if drained is not None and reply is not None:
            try:
                drained()
            except Exception:  # noqa: BLE001 (whatever a handler's callback raises is that one answer's failure, not the server's)
                reply.failed()
        self._serve()

    # --- from the reply

    def answered(self, *, closes: bool) -> None:
        """The answer under way is complete."""
        self._reply = None
        self.drained = None
        self.deadline_s = monotonic() + self._house.limits.idle_s
        if self._house.closing:
            self._transport.close()
        elif closes:
            self.half_close()
        else:
            self._serve()

    def cut(self, how: Cut) -> None:
        """End the connection: `fin` after what has been written, `reset` at once."""
        self._reply = None
        if how == "fin":
            self.half_close()
            return
        self.deafen()
        sock = cast(socket.socket, self._transport.get_extra_info("socket"))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._transport.abort()

    def deafen(self) -> None:
        """Take no further request; what comes is read (so that the client's leaving is noticed) and dropped."""
        self._deaf = True
        self._ahead.clear()
        self._incoming.queue.clear()
        self._incoming.partial = False
        self._resume_reading()

    def cut_next(self, how: Cut) -> None:
        """Cut as soon as a further request begins to arrive."""
        self._cut_next = how

    # --- from the server

    def half_close(self) -> None:
        """FIN after what has been written; then the client has `linger_s` to close as well."""
        self.deafen()
        if not self._half_closed and not self._transport.is_closing():
            self._transport.write_eof()
        self._half_closed = True
        self.deadline_s = monotonic() + self._house.limits.linger_s

    def close_if_idle(self) -> None:
        """Close unless a request is under way."""
        if self.idle:
            self._transport.close()

    def abort(self) -> None:
        """Drop the connection and what has not been sent."""
        self._hung_up()
        self._transport.abort()

    def out_of_patience(self) -> None:
        """The deadline has passed."""
        if self._half_closed:
            self._transport.abort()
        elif self._incoming.partial:
            self._incoming.refuse_late()
            self._serve()
        else:
            self.half_close()

    # --- within

    def _keep(self, data: bytes) -> None:
        self._ahead += data
        if len(self._ahead) > self._house.limits.waiting_bytes and not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._reading_paused:
            self._reading_paused = False
            if not self._transport.is_closing():
                self._transport.resume_reading()

    def _serve(self) -> None:
        """Answer what has arrived, one after the other, as far as that goes without waiting."""
        if self._serving:
            return
        incoming = self._incoming
        self._serving = True
        while self._reply is None and not self.congested and not self._deaf:
            if incoming.queue:
                self._answer(incoming.queue.popleft())
            elif self._ahead:
                self._take_ahead()
            else:
                self._await_more()
                break
        self._serving = False

    def _answer(self, arrived: Arrived | Refused) -> None:
        if isinstance(arrived, Refused):
            self._refuse(arrived)
            return
        if self._cut_next is not None:
            self.cut(self._cut_next)
            return
        request = arrived.request
        reply = self._reply = Exchange(self, head_only=request.method == "HEAD", http_1_0=arrived.http_1_0, keep_alive=arrived.keep_alive)
        self._receiving = False
        self.deadline_s = math.inf
        try:
            self._house.handler(request, reply)
        except Exception:  # noqa: BLE001 (whatever a handler raises is that one answer's failure, not the server's)
            reply.failed()

    def _take_ahead(self) -> None:
        data = bytes(self._ahead)
        self._ahead.clear()
        self._resume_reading()
        if self._cut_next is not None:
            self.cut(self._cut_next)
        else:
            self._incoming.feed(data)

    def _await_more(self) -> None:
        incoming = self._incoming
        if not incoming.partial:
            return
        if self._cut_next is not None:
            self.cut(self._cut_next)
            return
        if not self._receiving:
            self._receiving = True
            self.deadline_s = monotonic() + self._house.limits.request_s
        if incoming.wants_continue:
            incoming.wants_continue = False
            self.put(wire.CONTINUE)

    def _refuse(self, refused: Refused) -> None:
        body = json.dumps({"error": {"type": "invalid_request", "message": refused.reason}}).encode("ascii")
        Exchange(self, head_only=False, http_1_0=False, keep_alive=False).send(refused.status, body, {})

    def _hung_up(self) -> None:
        reply, self._reply = self._reply, None
        if reply is not None:
            reply.hung_up()
