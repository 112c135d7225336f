"""An answer whose head comes byte by byte: a client's timeout between two bytes never fires, one over the whole does."""

from collections.abc import Callable, Mapping

from mocks.http import wire
from mocks.http.message import Cut, Reply, Timer


class TrickledReply:
    """In the place of a `Reply` for an answer that begins, writes and ends; its head takes `over_s` from `begin` on.

    Until the head is out, it is congested: write nothing, and wait for `on_drained`. The connection takes no further request.
    """

    def __init__(self, reply: Reply, over_s: float) -> None:
        self._reply = reply
        self._over_s = over_s
        self._head = b""
        self._sent = 0
        self._begun_s = 0.0
        self._chunked = True
        self._drained: Callable[[], None] | None = None

    @property
    def congested(self) -> bool:
        """Whether the head is still on its way, or the client is slow to take the rest."""
        return self._sent < len(self._head) or self._reply.congested

    def on_drained(self, callback: Callable[[], None]) -> None:
        """Call back once it is no longer congested."""
        if self._sent < len(self._head):
            self._drained = callback
        else:
            self._reply.on_drained(callback)

    def now(self) -> float:
        """As in `Reply`."""
        return self._reply.now()

    def at(self, moment_s: float, callback: Callable[[], None]) -> Timer:
        """As in `Reply`."""
        return self._reply.at(moment_s, callback)

    def begin(self, status: int, headers: Mapping[str, str], content_type: str, length: int | None = None) -> None:
        """The first byte of the head leaves now. With a `length` the answer is no chunked one."""
        self._chunked = length is None
        framing = wire.CHUNKED if length is None else b"content-length: %d\r\n" % length
        described = wire.content_type_line(content_type) + framing + wire.header_lines(headers)
        self._head = wire.status_line(status) + described + wire.CLOSE + wire.CRLF
        self._begun_s = self._reply.now()
        self._step()

    def write(self, data: bytes) -> None:
        """A part of the answer, not empty."""
        self._reply.raw(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def end(self) -> None:
        """The end of the answer, and of the connection."""
        if self._chunked:
            self._reply.raw(wire.LAST_CHUNK)
        self._reply.cut("fin")

    def cut(self, how: Cut) -> None:
        """As in `Reply`."""
        self._reply.cut(how)

    def hang(self) -> None:
        """As in `Reply`."""
        self._reply.hang()

    def _step(self) -> None:
        """Send the bytes that are due: the first at once, the last when `over_s` is over."""
        most = len(self._head)
        share = min(1.0, (self._reply.now() - self._begun_s) / self._over_s)
        due = max(self._sent + 1, 1 + int(share * (most - 1)))
        self._reply.raw(self._head[self._sent : due])
        self._sent = due
        if due < most:
            self._reply.at(self._begun_s + self._over_s * due / (most - 1), self._step)
        elif self._drained is not None:
            self._drained()
