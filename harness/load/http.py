"""The little of HTTP that journeys need, so that they can be tested without a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Protocol


class UnreachableError(Exception):
    """No answer began: connection refused or reset, or closed before the headers."""


class BrokenBodyError(Exception):
    """The answer began and broke off before its end."""


class RequestTimeoutError(Exception):
    """The request's time is up. Raised from outside, in the middle of any wait of a journey."""


class Reply(Protocol):
    """An answer whose headers have arrived."""

    @property
    def status(self) -> int: ...

    def header(self, name: str) -> str | None:
        """A header by its name, in any case."""
        ...

    def read(self) -> bytes:
        """The whole body. Raises BrokenBodyError."""
        ...

    def lines(self) -> Iterator[bytes]:
        """The body line by line (LF), each as soon as it is there. Raises BrokenBodyError."""
        ...


class Transport(Protocol):
    """Sends a request once: no retries, no redirects, no cookies."""

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> AbstractContextManager[Reply]:
        """Enter: until the headers are there; raises UnreachableError. Leave: gives the connection back, or closes it."""
        ...
