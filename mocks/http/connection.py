"""One connection: requests in, one answer after the other out, and every way in which a connection ends."""

import asyncio
import json
import math
import socket
import struct
from collections.abc import Callable
from typing import Protocol, cast

from mocks.http import wire
from mocks.http.incoming import Arrived, Incoming, Refused
from mocks.http.limits import Limits
from mocks.http.message import Cut, Handler
from mocks.http.reply import Exchange, ReplyHouse

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""`struct linger`: on, for zero seconds."""


class House(ReplyHouse, Protocol):
    """What a connection needs of its server."""

    handler: Handler
    limits: Limits
    loop: asyncio.AbstractEventLoop

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
        self.soon = house.loop.call_soon
        self.house = house
        self._reply: Exchange | None = None
        self._ahead = bytearray()
        self._reading_paused = False
        self._serving = False
        self._deaf = False
        self._half_closed = False
        self._cut_next: Cut | None = None
        self._seen: tuple[object, ...] = ()
        self._seen_s = 0.0

    @property
    def idle(self) -> bool:
        """Whether no request is being received, waiting or being answered."""
        return self._reply is None and not self._incoming.partial and not self._incoming.queue and not self._ahead

    @property
    def lost(self) -> bool:
        """Whether the client takes nothing any more, even where `connection_lost` is still to come."""
        return self._transport.is_closing()

    # --- from the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._incoming = Incoming(self.house.opened(self), self.house.limits)
        self.put = self._transport.write

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
        self._hung_up()
        self.house.closed(self)

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

    def answered(self, closes: bool) -> None:
        """The answer under way is complete; `closes` says whether the connection ends with it."""
        self._reply = None
        self.drained = None
        if self.house.closing:
            self._close()
        elif closes:
            self.half_close()
        elif not self._serving and not self.idle:
            self.soon(self._serve)  # not at once: he who completes this answer may have more to do before the next request

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
        """FIN after what has been written; then the client has `Limits.linger_s` to close as well."""
        self.deafen()
        if not self._half_closed and not self._transport.is_closing():
            self._transport.write_eof()
        self._half_closed = True

    def close_if_idle(self) -> None:
        """Close unless a request is under way."""
        if self.idle:
            self._close()

    def abort(self) -> None:
        """Drop the connection and what has not been sent."""
        self._hung_up()
        self._transport.abort()

    def look_after(self, now_s: float) -> None:
        """Called from time to time: end what has been waiting for the client for too long. Requests themselves keep no time."""
        waits_for, patience_s = self._patience()
        seen = (waits_for, self._incoming.sequence)
        if seen != self._seen:
            self._seen, self._seen_s = seen, now_s
        elif now_s - self._seen_s >= patience_s:
            self._out_of_patience()

    # --- within

    def _close(self) -> None:
        self.deafen()
        self._transport.close()

    def _patience(self) -> tuple[str, float]:
        limits = self.house.limits
        if self._reply is not None:
            return "answer", math.inf
        if self._half_closed:
            return "close", limits.linger_s
        return ("rest", limits.request_s) if self._incoming.partial else ("request", limits.idle_s)

    def _out_of_patience(self) -> None:
        if self._half_closed:
            self._transport.abort()
        elif self._incoming.partial:
            self._incoming.refuse_late()
            self._serve()
        else:
            self.half_close()

    def _keep(self, data: bytes) -> None:
        self._ahead += data
        if len(self._ahead) > self.house.limits.waiting_bytes and not self._reading_paused:
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
        queue = incoming.queue
        self._serving = True
        while self._reply is None and not self.congested and not self._deaf:
            if queue:
                self._answer(queue.popleft())
            elif self._ahead:
                self._take_ahead()
            else:
                if incoming.partial:
                    self._await_rest()
                break
        self._serving = False

    def _answer(self, arrived: Arrived | Refused) -> None:
        if isinstance(arrived, Refused):
            self._refuse(arrived)
            return
        if self._cut_next is not None:
            self.cut(self._cut_next)
            return
        request, keep_alive, http_1_0 = arrived
        reply = self._reply = Exchange(self, request.method == "HEAD", keep_alive, http_1_0)
        try:
            self.house.handler(request, reply)
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

    def _await_rest(self) -> None:
        """A request has begun to arrive."""
        incoming = self._incoming
        if self._cut_next is not None:
            self.cut(self._cut_next)
            return
        if incoming.wants_continue:
            incoming.wants_continue = False
            self.put(wire.CONTINUE)

    def _refuse(self, refused: Refused) -> None:
        body = json.dumps({"error": {"type": "invalid_request", "message": refused.reason}}).encode("ascii")
        Exchange(self, False, False, False).send(refused.status, body, {})

    def _hung_up(self) -> None:
        reply, self._reply = self._reply, None
        if reply is not None:
            reply.hung_up()
