"""HTTP/1.1 answers off the wire, over httptools' parser: the same for every engine."""

from __future__ import annotations

import re

import httptools

from harness.load.http import BrokenBodyError, Exchange, UnreachableError

_SWITCHING = 101
_REFUSED = 400
_FRAMED = re.compile(rb"\n(content-length|transfer-encoding)[ \t]*:", re.IGNORECASE)  # the head says where the body ends
_ANNOUNCEMENT = re.compile(rb"HTTP/\d\.\d 1")
_RETRY_AFTER = re.compile(rb"\nretry-after[ \t]*:", re.IGNORECASE)


class Receiver:
    """Feeds one connection's answers, one after another, into exchanges. The parser calls the methods that begin with `on_`."""

    __slots__ = ("_exchange", "_head", "_parser", "complete", "reusable")

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._exchange: Exchange | None = None
        # The bytes with the head in them. Few answers have a header that matters here, so the parser does not call for each of them.
        self._head = b""
        self.complete = True
        self.reusable = True

    def expect(self, exchange: Exchange) -> None:
        """What comes next answers this one."""
        self._exchange = exchange
        self._head = b""
        self.complete = False

    def feed(self, data: bytes) -> None:
        """Bytes off the wire; `complete` is True once the answer is whole. Raises UnreachableError or BrokenBodyError for no HTTP."""
        if self.complete:
            self.reusable = False  # nobody asked for this
            return
        if self._exchange is not None and not self._exchange.status:
            self._head += data
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.reusable = False
            if not self.complete:  # what follows a whole answer takes nothing from it
                raise self.broken(str(error)) from error

    def end(self) -> None:
        """The peer closed. An answer without a length ends thus; for any other that is under way it raises as `feed` does."""
        self.reusable = False
        if self.complete:
            return
        if self._exchange is not None and self._exchange.status and not self._says(_FRAMED):
            self.complete = True
            return
        raise self.broken("the connection was closed")

    def broken(self, what: str) -> Exception:
        """What to raise when nothing more can come: whether an answer had begun makes the difference."""
        begun = self._exchange is not None and self._exchange.status
        return BrokenBodyError(what) if begun else UnreachableError(what)

    def _says(self, headers: re.Pattern[bytes]) -> bool:
        heads = self._head.split(b"\r\n\r\n")  # those of announcements come first
        return headers.search(next((head for head in heads if not _ANNOUNCEMENT.match(head)), b"")) is not None

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self.complete or self._exchange is None:
            self.reusable = False  # a second answer to one request
        elif status >= 200 or status == _SWITCHING:  # 100 and 103 announce the answer, and are none
            self._exchange.begin(status, status >= _REFUSED and self._says(_RETRY_AFTER))

    def on_body(self, body: bytes) -> None:
        if not self.complete and self._exchange is not None:
            self._exchange.feed(body)

    def on_message_complete(self) -> None:
        if self._exchange is not None and self._exchange.status:
            self.complete = True
            self.reusable = self.reusable and self._parser.should_keep_alive()
