"""Where HTTP/1.1 messages begin and end in a stream of bytes. Nothing is decoded, so that what passes is what came."""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

HEAD_BYTES_MAX = 256 * 1024
REQUEST_LINE = re.compile(rb"([A-Z]{3,20}) (/[^ \r\n]*|\*|[a-z]+://[^ \r\n]*) HTTP/1\.[01]\r\n")
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([0-9]{3})")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r\n]*chunked[ \t]*\r\n", re.IGNORECASE)
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})[^\r\n]*\r\n")


class FramingError(ValueError):
    """This is no HTTP/1.1."""


class Kind(Enum):
    """What a part of a message is."""

    HEAD = "head"
    BODY = "body"


class Part(NamedTuple):
    """A part of a message as it came, chunk sizes and all; `last`: the message ends behind it."""

    kind: Kind
    data: bytes
    last: bool


class _State(Enum):
    HEAD = 0
    LENGTH = 1  # `_left` bytes of body
    CHUNK_LINE = 2
    CHUNK = 3  # `_left` bytes of chunk and CRLF
    TRAILER = 4
    ENDLESS = 5  # until the connection ends


class Framing:
    """One direction of one connection. `push` what was read, then `pull` until there is nothing."""

    def __init__(self, *, requests: bool) -> None:
        self._requests = requests
        self._data = b""
        self._at = 0  # what lies before has been pulled
        self._state = _State.HEAD
        self._left = 0

    @property
    def at_boundary(self) -> bool:
        """Between two messages, nothing of the next one has been pulled."""
        return self._state is _State.HEAD

    @property
    def waiting(self) -> int:
        """Bytes pushed and not pulled."""
        return len(self._data) - self._at

    def push(self, data: bytes) -> None:
        self._data, self._at = (self._data[self._at :] + data if self.waiting else data), 0

    def rest(self) -> bytes:
        """All that has not been pulled, which is taken out."""
        return self._take(self.waiting)

    def pull(self, *, bodiless: bool = False) -> Part | None:
        """The next part, None when more bytes are needed. `bodiless`: an answer to HEAD. Raises FramingError."""
        if not self.waiting:
            return None
        if self._state is _State.HEAD:
            return self._head(bodiless)
        if self._state in (_State.CHUNK_LINE, _State.TRAILER):
            return self._line()
        if self._state is _State.ENDLESS:
            return Part(Kind.BODY, self.rest(), last=False)
        return self._counted()

    def _head(self, bodiless: bool) -> Part | None:
        end = self._data.find(b"\r\n\r\n", self._at)
        if end < 0:
            if self.waiting > HEAD_BYTES_MAX or not self._begins_well():
                raise FramingError("no head of a message")
            return None
        line = (REQUEST_LINE if self._requests else _STATUS_LINE).match(self._data, self._at)
        if line is None:
            raise FramingError("no HTTP/1.1")
        head = self._take(end + 4 - self._at)
        if self._requests:
            self._state = self._body(head, _State.HEAD)
        else:
            status = line[1]
            without = bodiless or status in (b"204", b"304") or status.startswith(b"1")
            self._state = _State.HEAD if without else self._body(head, _State.ENDLESS)
            if status.startswith(b"1"):
                return Part(Kind.HEAD, head, last=False)  # 100, 103: the answer is still to come
        return Part(Kind.HEAD, head, last=self._state is _State.HEAD)

    def _begins_well(self) -> bool:
        begin = self._data[self._at : self._at + 7]
        return begin[:1].isalpha() if self._requests else b"HTTP/1.".startswith(begin)

    def _body(self, head: bytes, without: _State) -> _State:
        if _CHUNKED.search(head):
            return _State.CHUNK_LINE
        length = _LENGTH.search(head)
        if length is None:
            return without
        self._left = int(length[1])
        return _State.LENGTH if self._left else _State.HEAD

    def _counted(self) -> Part:
        data = self._take(min(self._left, self.waiting))
        self._left -= len(data)
        if self._left == 0:
            self._state = _State.HEAD if self._state is _State.LENGTH else _State.CHUNK_LINE
        return Part(Kind.BODY, data, last=self._state is _State.HEAD)

    def _line(self) -> Part | None:
        end = self._data.find(b"\r\n", self._at)
        if end < 0:
            if self.waiting > HEAD_BYTES_MAX:
                raise FramingError("an endless line between chunks")
            return None
        line = self._take(end + 2 - self._at)
        if self._state is _State.TRAILER:
            self._state = _State.HEAD if line == b"\r\n" else _State.TRAILER
            return Part(Kind.BODY, line, last=line == b"\r\n")
        size = _CHUNK_LINE.fullmatch(line)
        if size is None:
            raise FramingError("no size of a chunk")
        self._left = int(size[1], 16)
        self._state = _State.CHUNK if self._left else _State.TRAILER
        self._left += 2  # CRLF
        return Part(Kind.BODY, line, last=False)

    def _take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        self._at += count
        return taken
