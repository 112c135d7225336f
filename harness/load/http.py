"""The little of HTTP that journeys need: a request, and what comes back. Nothing here waits: engines send and feed, tests do likewise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, Self
from urllib.parse import urlsplit


class UnreachableError(Exception):
    """No answer began: connection refused or reset, or closed before the headers."""


class BrokenBodyError(Exception):
    """The answer began and broke off before its end."""


class RequestTimeoutError(Exception):
    """The request's time is up. Raised from outside, in the middle of any wait of a journey."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent, ready for the wire; made once where the same is sent again and again."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    origin: str
    wire: bytes

    @classmethod
    def to(cls, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None) -> Self:
        """`url` is absolute; host, accept and content-length are added."""
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = [
            f"{method} {target} HTTP/1.1",
            f"host: {parts.netloc}",
            "accept: */*",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        if body is not None or method == "POST":
            lines.append(f"content-length: {len(body or b'')}")
        wire = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (body or b"")
        return cls(method, url, headers, body, f"{parts.scheme}://{parts.netloc}", wire)


class Exchange:
    """One request and its answer, as far as it has come: an engine calls `begin`, then `feed` for each piece of the body."""

    __slots__ = ("_pieces", "_take", "request", "retry_after", "status")

    def __init__(self, request: Request, take: Callable[[bytes], None] | None = None) -> None:
        """`take` is given each piece of the body of an answer with status 200; without it the body is kept."""
        self.request = request
        self.status = 0  # without an answer
        self.retry_after = False
        self._take = take
        self._pieces: list[bytes] = []

    def begin(self, status: int, retry_after: bool) -> None:
        """The head is there. `retry_after`: whether it says when to come again."""
        self.status = status
        self.retry_after = retry_after

    def feed(self, piece: bytes) -> None:
        if self._take is not None and self.status == 200:
            self._take(piece)
        else:
            self._pieces.append(piece)

    @property
    def content(self) -> bytes:
        """What was kept of the body."""
        return b"".join(self._pieces)


class Transport(Protocol):
    """Sends a request once: no retries, no redirects, no cookies."""

    def perform(self, exchange: Exchange) -> None:
        """Until the answer is whole. Raises UnreachableError, or BrokenBodyError once the head was there."""
        ...
