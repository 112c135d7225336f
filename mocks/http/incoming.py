"""From bytes to requests: httptools, the limits on what a client may send, and what is refused."""

from collections import deque
from http import HTTPStatus
from time import monotonic
from typing import NamedTuple
from urllib.parse import unquote

import httptools

from mocks.http.limits import Limits
from mocks.http.message import Request


class Arrived(NamedTuple):
    """A complete request, and what its connection has to know of it."""

    request: Request
    keep_alive: bool
    http_1_0: bool


class Refused(NamedTuple):
    """What is wrong with the bytes that came in the place of a request; nothing that follows them on the connection can be understood."""

    status: HTTPStatus
    reason: str


class Incoming:
    """Parses one connection's bytes and appends to `queue` what they turn out to be. `partial` says that a request has begun to arrive.

    The `on_…` methods are httptools' callbacks; they only collect, since an exception or an answer within the parser would disturb it.
    """

    def __init__(self, connection: int, limits: Limits) -> None:
        self.queue: deque[Arrived | Refused] = deque()
        self.partial = False
        self.wants_continue = False
        """Whether the client waits for `100 Continue` before it sends the body."""
        self._connection = connection
        self._limits = limits
        self._sequence = 0
        self._refused = False
        self._replay = b""
        self._head_fed = 0
        self._begin()
        self._parser = httptools.HttpRequestParser(self)

    def feed(self, data: bytes) -> None:
        """Parse `data`; everything after something refused is ignored."""
        if self._refused:
            return
        in_head = self.partial and not self._head_done
        rest = data
        while rest:
            try:
                self._parser.feed_data(rest)
                break
            except httptools.HttpParserUpgrade as switch:
                rest = self._without_offer(rest[switch.args[0] :])
            except httptools.HttpParserError as error:
                self._refuse(HTTPStatus.BAD_REQUEST, f"malformed request: {error}")
                break
        if in_head and not self._head_done and self.partial:
            # The parser keeps an unfinished header to itself, so that its bytes are counted here.
            self._head_fed += len(data)
            if self._head_fed > self._limits.head_bytes:
                self._refuse_head()

    def refuse_late(self) -> None:
        """The rest of a request has not come in time."""
        self._refuse(HTTPStatus.REQUEST_TIMEOUT, "the request did not arrive completely in time")

    def _begin(self) -> None:
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._head_bytes = 0
        self._head_done = False
        self._body: list[bytes] = []
        self._body_bytes = 0

    def on_message_begin(self) -> None:
        self._begin()
        self._head_fed = 0
        self.partial = True

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value) + 4
        if self._head_done:
            return  # a trailer: counted, and of no interest
        name = name.lower()
        headers = self._headers
        headers[name] = value if name not in headers else headers[name] + b", " + value

    def on_headers_complete(self) -> None:
        self._head_done = True
        headers = self._headers
        if self._head_bytes + len(self._url) > self._limits.head_bytes:
            self._refuse_head()
        elif b"host" not in headers and self._parser.get_http_version() != "1.0":
            self._refuse(HTTPStatus.BAD_REQUEST, "a request of HTTP/1.1 needs a host")
        elif int(headers.get(b"content-length", 0)) > self._limits.body_bytes:
            self._refuse_body()
        elif b"expect" in headers:
            self.wants_continue = headers[b"expect"].lower() == b"100-continue" and self._parser.get_http_version() != "1.0"

    def on_body(self, body: bytes) -> None:
        self.wants_continue = False
        if self._refused:
            return
        self._body_bytes += len(body)
        if self._body_bytes > self._limits.body_bytes:
            self._refuse_body()
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        if self._refused:
            return
        if self._parser.should_upgrade():
            return  # `feed` gets to know of it by an exception
        self.partial = False
        self.wants_continue = False
        if self._head_bytes > self._limits.head_bytes:
            self._refuse_head()  # the trailers' doing
            return
        self._sequence += 1
        path, _, query = self._url.decode("latin-1").partition("?")
        if not path.startswith("/"):
            path = _path_of(path)
        pieces = self._body
        request = Request(
            self._parser.get_method().decode("ascii"),
            unquote(path) if "%" in path else path,
            query,
            self._headers,
            pieces[0] if len(pieces) == 1 else b"".join(pieces),
            self._connection,
            self._sequence,
            monotonic(),
            path,
        )
        self.queue.append(Arrived(request, self._parser.should_keep_alive(), self._parser.get_http_version() == "1.0"))

    def _without_offer(self, rest: bytes) -> bytes:
        """Go on in HTTP/1.1 with a request that would switch protocols, as a server may that knows no other (RFC 9110, 7.8).

        The parser takes what follows such a head (`rest`) for the other protocol, so that it is to be given the same head once more,
        without the offer: what this returns.
        """
        method, version = self._parser.get_method(), self._parser.get_http_version().encode("ascii")
        if method == b"CONNECT":
            self._refuse(HTTPStatus.NOT_IMPLEMENTED, "this is no proxy")
        if self._refused:
            return b""
        self._parser = httptools.HttpRequestParser(self)
        lines = [b"%b: %b" % (name, value) for name, value in self._headers.items() if name != b"upgrade"]
        return b"\r\n".join([b"%b %b HTTP/%b" % (method, self._url, version), *lines, b"", rest])

    def _refuse_head(self) -> None:
        self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"the head of a request may have {self._limits.head_bytes} bytes")

    def _refuse_body(self) -> None:
        self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body of a request may have {self._limits.body_bytes} bytes")

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        if self._refused:
            return
        self._refused = True
        self.partial = self.wants_continue = False
        self.queue.append(Refused(status, reason))


def _path_of(target: str) -> str:
    """The path of a target in absolute form (`http://host/path`); `*` and anything else stays as it is."""
    scheme, separator, rest = target.partition("://")
    if not separator or "/" in scheme:
        return target
    return "/" + rest.partition("/")[2]
