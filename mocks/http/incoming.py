"""From bytes to requests: httptools, the limits on what a client may send, and what is refused."""

from collections import deque
from functools import lru_cache
from http import HTTPStatus
from time import monotonic
from typing import NamedTuple
from urllib.parse import unquote

import httptools

from mocks.http.limits import Limits
from mocks.http.message import Request

_SHORT = 256
"""Targets below so many bytes are split once and remembered."""

Arrived = tuple[Request, bool, bool]
"""A complete request, whether its client wants the connection kept alive, and whether it speaks HTTP/1.0."""


class Refused(NamedTuple):
    """What is wrong with the bytes that came in the place of a request; nothing that follows them on the connection can be understood."""

    status: HTTPStatus
    reason: str


class _Again(NamedTuple):
    """What came last, where it was one whole request and nothing else: were its head to come again, it would say the same."""

    head: bytes
    size: int
    """Of head and body; what has this size and begins with `head` is one whole request, too."""
    request: Request
    """Without its body, which may be large."""


_HEAD_END = b"\r\n\r\n"
_LONGEST_AGAIN = 4_096  # bytes of a head that is kept for a connection
_ONCE = frozenset({b"connection", b"expect", b"transfer-encoding", b"upgrade"})
"""Headers of which the connection, and not the request alone, takes notice."""


class Incoming:
    """Parses one connection's bytes and appends to `queue` what they turn out to be. `partial` says that a request has begun to arrive.

    The `on_…` methods are httptools' callbacks; they only collect, since an exception or an answer within the parser would disturb it.
    """

    def __init__(self, connection: int, limits: Limits) -> None:
        self.queue: deque[Arrived | Refused] = deque()
        self.sequence = 0
        """How many requests have arrived."""
        self.partial = False
        self.wants_continue = False
        """Whether the client waits for `100 Continue` before it sends the body."""
        self._connection = connection
        self._head_limit = limits.head_bytes
        self._body_limit = limits.body_bytes
        self._refused = False
        self._head_suspect = False
        """Whether the head could be too large; one that comes whole and alone cannot."""
        self._stalled = 0
        """Bytes in a row that were no part of a body, counted since the parser keeps unfinished headers and trailers to itself."""
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._head_done = False
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._again: _Again | None = None
        self._parser = httptools.HttpRequestParser(self)

    def feed(self, data: bytes) -> None:
        """Take `data`; to be called no more once something has been refused."""
        again = self._again
        if again is not None and len(data) == again.size and data.startswith(again.head):
            # Who puts load on a service says one head over and over: parsing it would take four times as long.
            self.sequence += 1
            self.queue.append((_like(again.request, data[len(again.head) :], self.sequence, monotonic()), True, False))
            return
        sequence = self.sequence
        self._parse(data)
        self._again = self._repeatable(data) if self.sequence == sequence + 1 and not self.partial else None

    def _repeatable(self, data: bytes) -> _Again | None:
        """The request that `data` is, where it is exactly one, with nothing before or after it that the parser would remember."""
        arrived = self.queue[-1]
        if isinstance(arrived, Refused):
            return None
        request, keep_alive, http_1_0 = arrived
        end = data.find(_HEAD_END) + len(_HEAD_END)
        if end > _LONGEST_AGAIN or end + len(request.body) != len(data) or not keep_alive or http_1_0:
            return None
        return _Again(data[:end], len(data), _like(request, b"", 0, 0.0)) if _ONCE.isdisjoint(request.headers) else None

    def _parse(self, data: bytes) -> None:
        begun, sequence = self.partial, self.sequence
        if begun:
            self._stalled += len(data)
        elif len(data) > self._head_limit:
            self._head_suspect = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as stopped:
            self._resume(data, stopped)
        if self.partial:
            self._head_suspect = True
            if not begun and not self._head_done and sequence == self.sequence:
                self._stalled = len(data)
            if self._stalled > self._head_limit:
                self._refuse_head()
        elif self._head_suspect:
            self._head_suspect = False

    def refuse_late(self) -> None:
        """The rest of a request has not come in time."""
        self._refuse(HTTPStatus.REQUEST_TIMEOUT, "the request did not arrive completely in time")

    def _resume(self, data: bytes, stopped: Exception) -> None:
        """Go on after what stopped the parser in `data`, if that can be."""
        while isinstance(stopped, httptools.HttpParserUpgrade):
            data = self._without_offer(data[stopped.args[0] :])
            if self._refused:
                return
            try:
                self._parser.feed_data(data)
                return
            except (httptools.HttpParserError, httptools.HttpParserUpgrade) as again:
                stopped = again
        self._refuse(HTTPStatus.BAD_REQUEST, f"malformed request: {stopped}")

    def on_url(self, url: bytes) -> None:
        if self.partial:
            self._url += url
        else:
            self.partial = True
            self.wants_continue = self._head_done = False
            self._stalled = 0
            self._url = url
            self._headers = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head_done:
            return  # a trailer
        name = name.lower()
        value = value.rstrip()  # the parser takes off leading blanks only
        headers = self._headers
        headers[name] = value if name not in headers else headers[name] + b", " + value

    def on_headers_complete(self) -> None:
        self._head_done = True
        headers = self._headers
        if self._head_suspect:
            self._stalled = 0
            if len(self._url) + sum(map(len, headers)) + sum(map(len, headers.values())) > self._head_limit:
                self._refuse_head()
        if b"host" not in headers and self._parser.get_http_version() != "1.0":
            self._refuse(HTTPStatus.BAD_REQUEST, "a request of HTTP/1.1 needs a host")
        elif b"content-length" in headers and int(headers[b"content-length"]) > self._body_limit:
            self._refuse_body()
        elif b"expect" in headers:
            self.wants_continue = headers[b"expect"].lower() == b"100-continue" and self._parser.get_http_version() != "1.0"

    def on_body(self, body: bytes) -> None:
        self.wants_continue = False
        self._stalled = 0
        self._body_bytes += len(body)
        if self._body_bytes > self._body_limit:
            self._refuse_body()
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        if self._refused:
            return
        parser, headers = self._parser, self._headers
        method = parser.get_method()
        if method == b"CONNECT" or (b"upgrade" in headers and parser.should_upgrade()):
            return  # `feed` gets to know of it by an exception
        keep_alive = parser.should_keep_alive()
        # Without that header only HTTP/1.1 is kept alive; asking for the version costs as much as all the rest.
        http_1_0 = (not keep_alive or b"connection" in headers) and parser.get_http_version() == "1.0"
        path, raw_path, query = _split(self._url) if len(self._url) < _SHORT else _split.__wrapped__(self._url)
        self.sequence += 1
        request = Request(
            method.decode("ascii"),
            path,
            query,
            headers,
            b"".join(self._body) if self._body else b"",
            self._connection,
            self.sequence,
            monotonic(),
            raw_path,
        )
        self.queue.append((request, keep_alive, http_1_0))
        self.partial = False
        if self._body:
            self._body = []
            self._body_bytes = 0

    def _without_offer(self, rest: bytes) -> bytes:
        """Go on in HTTP/1.1 with a request that would switch protocols, as a server may that knows no other (RFC 9110, 7.8).

        The parser takes what follows such a head (`rest`) for the other protocol, so that it is to be given the same head once more,
        without the offer: what this returns.
        """
        method, version = self._parser.get_method(), self._parser.get_http_version().encode("ascii")
        if method == b"CONNECT":
            self._refuse(HTTPStatus.NOT_IMPLEMENTED, "this is no proxy")
        lines = [b"%b: %b" % (name, value) for name, value in self._headers.items() if name != b"upgrade"]
        head = b"\r\n".join([b"%b %b HTTP/%b" % (method, self._url, version), *lines, b"", rest])
        self._parser = httptools.HttpRequestParser(self)
        self.partial = False
        return head

    def _refuse_head(self) -> None:
        self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"the head of a request may have {self._head_limit} bytes")

    def _refuse_body(self) -> None:
        self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body of a request may have {self._body_limit} bytes")

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        if self._refused:
            return
        self._refused = True
        self.partial = self.wants_continue = False
        self.queue.append(Refused(status, reason))


def _like(one: Request, body: bytes, sequence: int, arrived_s: float) -> Request:
    """A request with the same head on the same connection."""
    return Request(one.method, one.path, one.query, one.headers, body, one.connection, sequence, arrived_s, one.raw_path)


@lru_cache(maxsize=1024)
def _split(target: bytes) -> tuple[str, str, str]:
    """Path, path as it was sent, and query. Of a target in absolute form (`http://host/path`) the path; `*` stays as it is."""
    raw_path, _, query = target.decode("latin-1").partition("?")
    if not raw_path.startswith("/"):
        scheme, separator, rest = raw_path.partition("://")
        if separator and "/" not in scheme:
            raw_path = "/" + rest.partition("/")[2]
    return unquote(raw_path), raw_path, query
