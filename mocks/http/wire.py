"""The bytes of an answer: status line, headers, chunk framing."""

import re
from collections.abc import Mapping
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

CRLF = b"\r\n"
LAST_CHUNK = b"0\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n"
CLOSE = b"connection: close\r\n"
KEEP_ALIVE = b"connection: keep-alive\r\n"
"""Said to clients of HTTP/1.0 alone: in HTTP/1.1 it goes without saying."""

CHUNK_SIZES = tuple(b"%x\r\n" % size for size in range(2048))
"""The first line of a chunk by the size of its data."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_FRAMING = frozenset({"connection", "content-length", "content-type", "date", "transfer-encoding"})
_NO_BODY = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})


def may_have_body(status: int) -> bool:
    """Whether an answer of that status is followed by a body (RFC 9110, 15)."""
    return status not in _NO_BODY


def status_line(status: int) -> bytes:
    """`HTTP/1.1 200 OK` with its line end; raises ValueError unless `status` is that of a final answer."""
    return _STATUS_LINES.get(status) or _unknown_status_line(status)


def _unknown_status_line(status: int) -> bytes:
    if not 200 <= status <= 999:
        raise ValueError(f"{status} is no status of a final answer")
    return b"HTTP/1.1 %d Unknown\r\n" % status


_STATUS_LINES = {
    **{status.value: b"HTTP/1.1 %d %s\r\n" % (status, status.phrase.encode()) for status in HTTPStatus if status >= HTTPStatus.OK},
    520: b"HTTP/1.1 520 Web Server Returned an Unknown Error\r\n",
    529: b"HTTP/1.1 529 Site is overloaded\r\n",
}


def header_lines(headers: Mapping[str, str]) -> bytes:
    """`headers` as they are sent.

    Raises ValueError for a name that is no token, for one that the server itself sends (framing, content type, date), and for a value
    that has control characters (a line break would begin another header) or characters outside of Latin-1.
    """
    return b"".join([_name(name) + _value(value) + CRLF for name, value in headers.items()])


@lru_cache(maxsize=512)
def _name(name: str) -> bytes:
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"no header name: {name!r}")
    if name.lower() in _FRAMING:
        raise ValueError(f"{name} is the server's to send")
    return name.encode("latin-1") + b": "


def _value(value: str) -> bytes:
    if not value.isprintable() and _CONTROL.search(value):  # printable first: it is the quicker of the two, and nearly always enough
        raise ValueError(f"control characters in a header's value: {value!r}")
    return value.encode("latin-1")


@lru_cache(maxsize=64)
def content_type_line(content_type: str) -> bytes:
    """The header that says what a body is; nothing for an empty `content_type`."""
    return b"content-type: " + _value(content_type) + CRLF if content_type else b""


@lru_cache(maxsize=4096)
def head_of_whole(status: int, content_type: str, length: int) -> bytes:
    """The first lines of an answer in one piece: status, type and length, or the status alone where that says that there is no body.

    Raises ValueError where there is one all the same.
    """
    if not may_have_body(status):
        if length:
            raise ValueError(f"an answer with status {status} has no body")
        return status_line(status)
    return status_line(status) + content_type_line(content_type) + b"content-length: %d\r\n" % length


def date_line(wall_s: float) -> bytes:
    """The `date` header for a moment in seconds since 1970."""
    return b"date: " + formatdate(wall_s, usegmt=True).encode("ascii") + CRLF
