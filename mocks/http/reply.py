"""The answer to one request (`mocks.http.message.Reply`), as bytes for the connection."""

import contextlib
import sys
import traceback
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Protocol

from mocks.http import wire
from mocks.http.message import Cut
from mocks.http.timers import Due, Timers

_MOST_PIECES = 256
"""So many pieces are collected in one turn of the loop before they are handed to the transport."""
_LARGE = len(wire.CHUNK_SIZES)
"""Data of so many bytes does not wait for more."""
_FRESH, _BEGUN, _RAW, _OVER = range(4)

_INTERNAL_ERROR = b'{"error":{"type":"internal_error","message":"the server failed on this request; its standard error says how"}}'


class ReplyHouse(Protocol):
    """What a reply needs of the server."""

    timers: Timers
    date: bytes
    """The `date` header of the moment."""
    closing: bool
    """Whether no connection takes a further request."""


class Carrier(Protocol):
    """What a reply needs of its connection."""

    congested: bool
    drained: Callable[[], None] | None

    @property
    def lost(self) -> bool: ...
    @property
    def house(self) -> ReplyHouse: ...
    @property
    def soon(self) -> Callable[[Callable[[], None]], object]: ...
    @property
    def put(self) -> Callable[[bytes], object]: ...
    def answered(self, closes: bool) -> None: ...
    def cut(self, how: Cut) -> None: ...
    def deafen(self) -> None: ...
    def cut_next(self, how: Cut) -> None: ...


class Exchange:
    """One request's `Reply`. What is written in one turn of the loop leaves together, at the latest when the turn is over.

    Most answers are sent in one piece and never set most of this, hence the defaults on the class.
    """

    gone = False
    waiting: set[Due] | None = None
    _stage = _FRESH
    _left = False
    """Whether bytes of the answer have been handed to the transport."""
    _scheduled = False
    _chunked = True
    _gone_callback: Callable[[], None] | None = None

    def __init__(self, carrier: Carrier, head_only: bool, keep_alive: bool, http_1_0: bool) -> None:
        """`head_only` is for HEAD, `keep_alive` what the client wants, `http_1_0` whether it knows no chunks."""
        self._carrier = carrier
        self._head_only = head_only
        self._keep_alive = keep_alive
        self._http_1_0 = http_1_0
        self._out: list[bytes] = []

    @property
    def congested(self) -> bool:
        """As in `Reply`."""
        carrier = self._carrier
        return carrier.congested or carrier.lost  # one that is lost drops what is written, and would never congest

    def now(self) -> float:
        """As in `Reply`."""
        return monotonic()

    def at(self, moment_s: float, callback: Callable[[], None]) -> Due:
        """As in `Reply`."""
        due = self._carrier.house.timers.at(moment_s, callback, self)
        if self.gone:
            due.cancel()
        return due

    def on_gone(self, callback: Callable[[], None]) -> None:
        """As in `Reply`."""
        self._gone_callback = callback

    def on_drained(self, callback: Callable[[], None]) -> None:
        """As in `Reply`."""
        if not self._open():
            return
        if self.congested:
            self._carrier.drained = callback
        else:
            self.at(monotonic(), callback)

    def send(
        self, status: int, body: bytes, headers: Mapping[str, str], content_type: str = "application/json", *, length: int | None = None
    ) -> None:
        """As in `Reply`. An answer that has no body by its status has neither length nor type."""
        self.send_lines(status, body, wire.header_lines(headers) if headers else b"", content_type, length)

    def send_lines(self, status: int, body: bytes, lines: bytes, content_type: str = "application/json", length: int | None = None) -> None:
        """As in `Reply`."""
        if self._stage != _FRESH and not self._may(_FRESH):
            return
        carrier = self._carrier
        house = carrier.house
        closes = not self._keep_alive or house.closing
        head = wire.head_of_whole(status, content_type, len(body) if length is None else length)
        if closes or self._http_1_0:
            lines += wire.CLOSE if closes else wire.KEEP_ALIVE
        carrier.put(b"".join((head, house.date, lines, wire.CRLF, b"" if self._head_only else body)))
        self._over(closes or (length is not None and length != len(body)))

    def begin(self, status: int, headers: Mapping[str, str], content_type: str) -> None:
        """As in `Reply`. For a client of HTTP/1.0 the body ends where the connection does."""
        if not self._may(_FRESH):
            return
        if not wire.may_have_body(status):
            raise ValueError(f"an answer with status {status} has no body")
        house = self._carrier.house
        if self._http_1_0 or house.closing:
            self._keep_alive = False
        self._chunked = not self._http_1_0
        framing = wire.CHUNKED if self._chunked else b""
        connection = b"" if self._keep_alive else wire.CLOSE
        head = (wire.status_line(status), wire.content_type_line(content_type), framing, house.date, wire.header_lines(headers))
        self._out += (*head, connection, wire.CRLF)
        self._stage = _BEGUN

    def flush(self) -> None:
        """As in `Reply`."""
        self._scheduled = False
        out = self._out
        if out and not self.gone:
            self._left = True
            data = b"".join(out)
            out.clear()
            self._carrier.put(data)

    def write(self, data: bytes) -> None:
        """As in `Reply`."""
        if self._stage != _BEGUN and not self._may(_BEGUN):
            return
        size = len(data)
        if not size:
            raise ValueError("an empty chunk would end the answer")
        if self._head_only:
            return
        out = self._out
        if not self._chunked:
            out.append(data)
        elif size < _LARGE:
            out += (wire.CHUNK_SIZES[size], data, wire.CRLF)
        else:
            out += (b"%x\r\n" % size, data, wire.CRLF)
        if size >= _LARGE or len(out) > _MOST_PIECES:
            self.flush()
        elif not self._scheduled:
            self._scheduled = True
            self._carrier.soon(self.flush)

    def end(self) -> None:
        """As in `Reply`; after `raw` it ends the connection in order."""
        if self._stage == _RAW:
            self.cut("fin")
        elif self._may(_BEGUN):
            if self._chunked and not self._head_only:
                self._out.append(wire.LAST_CHUNK)
            self.flush()
            self._over(not self._keep_alive)

    def raw(self, data: bytes) -> None:
        """As in `Reply`."""
        if not self._open():
            return
        if self._stage != _RAW:
            self._stage = _RAW
            self._carrier.deafen()
        self._out.append(data)
        self.flush()

    def cut(self, how: Cut) -> None:
        """As in `Reply`."""
        if not self._open():
            return
        self.flush()
        self._leave()
        self._carrier.cut(how)

    def hang(self) -> None:
        """As in `Reply`. It can still be cut."""
        if not self._open():
            return
        self.flush()
        self._stage = _RAW
        self._carrier.deafen()

    def cut_next(self, how: Cut) -> None:
        """As in `Reply`; to be said before the answer is complete."""
        if self._open():
            self._carrier.cut_next(how)

    def hung_up(self) -> None:
        """The client has gone (or the server stops) before the answer was complete: tell the handler."""
        callback = self._gone_callback
        self._leave()
        if callback is not None:
            try:
                callback()
            except Exception:  # noqa: BLE001 (the handler's failure must not keep the connection from being cleared away)
                _print_failure()

    def failed(self) -> None:
        """To be called in the `except`: the handler, or a callback of its, has raised. Print it and answer 500, or cut what has begun."""
        _print_failure()
        if self.gone or self._stage == _OVER:
            return
        self._cancel()
        if self._stage != _RAW and not self._left:
            self._out.clear()
            self._stage = _FRESH
            self.send(500, _INTERNAL_ERROR, {})
        else:
            self.cut("reset")

    def _may(self, stage: int) -> bool:
        """Whether the answer is at `stage`; False where nobody listens any more, RuntimeError where the handler is out of order."""
        if not self._open():
            return False
        if self._stage != stage:
            raise RuntimeError("out of order: an answer is send, or begin, write and end")
        return True

    def _open(self) -> bool:
        """Whether anything can still be said; False where nobody listens any more, RuntimeError where everything has been said."""
        if self.gone:
            return False
        if self._stage == _OVER:
            raise RuntimeError("the answer is complete")
        return True

    def _over(self, closes: bool) -> None:
        self._stage = _OVER
        self._gone_callback = None
        self._carrier.answered(closes)

    def _leave(self) -> None:
        self.gone = True
        self._stage = _OVER
        self._gone_callback = None
        self._out.clear()
        self._cancel()

    def _cancel(self) -> None:
        for due in list(self.waiting or ()):
            due.cancel()


def _print_failure() -> None:
    """The exception being handled, on stderr; where nobody reads that any more, the client is to get its answer all the same."""
    with contextlib.suppress(OSError, ValueError):  # a pipe that is broken, a stream that is closed
        traceback.print_exc(file=sys.stderr)
