"""A request, and the means of answering it: what handlers see of HTTP."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol
from urllib.parse import parse_qs

Cut = Literal["fin", "reset"]
"""How a connection ends before its time: `fin` closes in order (FIN), `reset` aborts (RST)."""


@dataclass(slots=True)
class Request:
    """One complete request. `headers` have lower-case names, repeated ones joined by `, `; `arrived_s` is the event loop's time."""

    method: str
    path: str
    """Percent-decoded, without the query."""
    query: str
    headers: Mapping[bytes, bytes]
    body: bytes
    connection: int
    """Number of its connection at this server, from 1."""
    sequence: int
    """Its number on that connection, from 1."""
    arrived_s: float
    raw_path: str = ""
    """The path as it was sent, still percent-encoded: what `Router.find` takes."""

    def header(self, name: str) -> str | None:
        """The value of a header, given its lower-case name; None where it is absent."""
        value = self.headers.get(name.encode("latin-1"))
        return None if value is None else value.decode("latin-1")

    def parameters(self) -> dict[str, list[str]]:
        """The query's parameters, blank ones included."""
        return parse_qs(self.query, keep_blank_values=True)


class Timer(Protocol):
    """A callback that is due later (`asyncio.TimerHandle`)."""

    def cancel(self) -> None:
        """Forget it."""


class Reply(Protocol):
    """The answer to one request, in the server's hands. Nothing here waits: what is due later is a callback.

    Either `send`, or `begin`, `write`… and `end`; or one of the ways not to answer. Once `gone`, everything is ignored.
    """

    @property
    def gone(self) -> bool:
        """Whether the client has hung up (or was cut off)."""

    @property
    def congested(self) -> bool:
        """Whether the client takes bytes more slowly than they are written, or is about to be `gone`.

        Writing on is not refused, but every byte stays in memory.
        """

    def on_drained(self, callback: Callable[[], None]) -> None:
        """Call back once it is no longer congested, soon where it is not. One callback; a later one takes its place."""

    def now(self) -> float:
        """The event loop's time in seconds: the clock of `Request.arrived_s` and `at`."""

    def at(self, moment_s: float, callback: Callable[[], None]) -> Timer:
        """Call back at that moment, as soon as possible where it has passed; never once the client has gone."""

    def on_gone(self, callback: Callable[[], None]) -> None:
        """Call back when the client hangs up before the answer is complete. One callback; a later one takes its place."""

    def send(
        self, status: int, body: bytes, headers: Mapping[str, str], content_type: str = "application/json", *, length: int | None = None
    ) -> None:
        """A whole answer. `length` is the Content-Length to declare where it shall not be the body's; such a connection ends with FIN."""

    def send_lines(self, status: int, body: bytes, lines: bytes, content_type: str = "application/json") -> None:
        """The same for one whose headers are `lines` already, as `wire.header_lines` writes them."""

    def begin(self, status: int, headers: Mapping[str, str], content_type: str) -> None:
        """Status and headers of a chunked answer; they leave with the first `write`, `flush` or `end`."""

    def flush(self) -> None:
        """Let what `begin` said leave now."""

    def write(self, data: bytes) -> None:
        """One chunk; `data` must not be empty."""

    def end(self) -> None:
        """The terminating chunk."""

    def raw(self, data: bytes) -> None:
        """These bytes, outside all framing; the connection takes no further request."""

    def cut(self, how: Cut) -> None:
        """End the connection now, after the bytes written so far where it is `fin`; a reset may overtake them."""

    def hang(self) -> None:
        """Say no more, ever, and keep the connection open until the client leaves (or the server stops)."""

    def cut_next(self, how: Cut) -> None:
        """Answer this request well and keep the connection alive, but cut it as soon as a byte of a further request arrives."""


Handler = Callable[[Request, Reply], None]
"""Answers a request, now or through `Reply.at`. An exception that it raises is answered with 500 and printed on stderr."""
