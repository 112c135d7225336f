"""The request in hand: its ids, and how long it has waited for others.

One mutable object in a context variable: child tasks copy the context but share the object, so a call made inside
`asyncio.gather` counts for the request that made it.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class RequestContext:
    """Ids of one request at one hop, and its time spent waiting for callees."""

    __slots__ = ("_outstanding", "_waited_s", "_waiting_since", "flags", "parent_id", "request_id", "span_id", "trace_id")

    def __init__(self, request_id: str, trace_id: str, span_id: str, parent_id: str, flags: str = "01") -> None:
        self.request_id = request_id
        self.trace_id = trace_id
        self.span_id = span_id
        self.parent_id = parent_id
        self.flags = flags
        self._outstanding = 0
        self._waited_s = 0.0
        self._waiting_since = 0.0

    def wait_begin(self) -> None:
        """A callee was asked. Overlapping waits count once: the union of the intervals, not their sum."""
        if self._outstanding == 0:
            self._waiting_since = time.perf_counter()
        self._outstanding += 1

    def wait_end(self) -> None:
        """The callee answered, or was given up."""
        self._outstanding -= 1
        if self._outstanding == 0:
            self._waited_s += time.perf_counter() - self._waiting_since

    @property
    def waited_s(self) -> float:
        """Seconds during which at least one callee had been asked and had not answered."""
        pending = time.perf_counter() - self._waiting_since if self._outstanding else 0.0
        return self._waited_s + pending

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the block as time spent waiting for a callee."""
        self.wait_begin()
        try:
            yield
        finally:
            self.wait_end()

    def outgoing_headers(self) -> dict[str, str]:
        """Headers that let the next hop continue this trace."""
        return {"x-request-id": self.request_id, "traceparent": f"00-{self.trace_id}-{self.span_id}-{self.flags}"}


_current: ContextVar[RequestContext | None] = ContextVar("request", default=None)


def current() -> RequestContext:
    """The request in hand; outside of one (start-up, background tasks) a fresh context of its own trace."""
    return _current.get() or new_context(None, None)


def current_or_none() -> RequestContext | None:
    """The request in hand, None outside of one."""
    return _current.get()


def enter(context: RequestContext) -> Token[RequestContext | None]:
    """Make `context` the request in hand; give the token to `leave`."""
    return _current.set(context)


def leave(token: Token[RequestContext | None]) -> None:
    """Undo `enter`."""
    _current.reset(token)


def new_context(request_id: str | None, traceparent: str | None) -> RequestContext:
    """Context of a request that arrives with these headers; missing or malformed ones are made up."""
    span_id = os.urandom(8).hex()
    match = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    trace_id, parent_id, flags = match.groups() if match else (os.urandom(16).hex(), "", "01")
    if not request_id or not _REQUEST_ID.fullmatch(request_id):
        request_id = trace_id
    return RequestContext(request_id, trace_id, span_id, parent_id, flags)
