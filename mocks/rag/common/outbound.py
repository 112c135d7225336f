"""Counting of calls to callees: outcome, duration, in progress, and the request's waiting time.

`ServiceClient` counts its own attempts with the parts of this module; calls to a database or a cache go through `outbound`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

from mocks.rag.common.context import current
from mocks.rag.common.errors import Outcome, UpstreamError
from mocks.rag.common.metrics import CLIENT_DURATION, CLIENT_IN_PROGRESS, CLIENT_REQUESTS

ErrorTypes = tuple[type[BaseException], ...]


def status_outcome(status: int) -> Outcome:
    """The contract's word for an answer with this HTTP status."""
    if status < 400:
        return "ok"
    if status == 429:
        return "rate_limited"
    return "http_5xx" if status >= 500 else "http_4xx"


def error_outcome(error: BaseException, timeouts: ErrorTypes = (), connect_errors: ErrorTypes = (), lost: ErrorTypes = ()) -> Outcome:
    """The contract's word for a call that raised; a cancelled one was given up by its caller, which is a timeout.

    `lost` are errors of a connection that ended, or was reset, before the answer was whole.
    """
    if isinstance(error, (TimeoutError, asyncio.CancelledError, *timeouts)):
        return "timeout"
    if isinstance(error, lost):
        return "connection_lost"
    return "connect_error" if isinstance(error, (OSError, *connect_errors)) else "error"


def observe(callee: str, outcome: Outcome, duration_s: float) -> None:
    """Count one attempt."""
    CLIENT_REQUESTS.labels(callee, outcome).inc()
    CLIENT_DURATION.labels(callee).observe(duration_s)


@contextmanager
def outbound(callee: str, *, timeouts: ErrorTypes = (), connect_errors: ErrorTypes = ()) -> Iterator[None]:
    """Count the block as one call to `callee`; `timeouts` and `connect_errors` are the client library's own error types."""
    in_progress = CLIENT_IN_PROGRESS.labels(callee)
    context = current()
    in_progress.inc()
    context.wait_begin()
    started = time.perf_counter()
    outcome: Outcome = "ok"
    try:
        yield
    except BaseException as error:
        if isinstance(error, UpstreamError) and error.callee == callee:
            outcome = error.outcome
        else:
            outcome = error_outcome(error, timeouts, connect_errors)
        raise
    finally:
        context.wait_end()
        in_progress.dec()
        observe(callee, outcome, time.perf_counter() - started)
