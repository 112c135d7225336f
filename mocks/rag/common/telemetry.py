"""The middleware of every service: ids, the build that answers, metrics and one log line per request.

Raw ASGI: it wraps `send` and looks at the first message only, so streams pass through unbuffered. Probes and scrapes
(`/health`, `/ready`, `/metrics`) are not counted: they would drown the service's own traffic and a 503 of `/ready` is no failed request.
"""

from __future__ import annotations

import json
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mocks.rag.common import context as request_context
from mocks.rag.common.context import RequestContext
from mocks.rag.common.errors import error_body
from mocks.rag.common.log import Logger, get_logger
from mocks.rag.common.metrics import REQUEST_DURATION, REQUEST_SELF, REQUESTS, REQUESTS_IN_PROGRESS

PROBE_PATHS = frozenset({"/health", "/ready", "/metrics"})
UNMATCHED = "unmatched"
CLIENT_GONE = 499
"""Status recorded when the client hung up before an answer began (nginx's number for it)."""


class Telemetry:
    """ASGI middleware; see the module."""

    def __init__(self, app: ASGIApp, version: str) -> None:
        self._app = app
        self._version = version
        self._log: Logger = get_logger("access")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in PROBE_PATHS:
            await self._app(scope, receive, send)
            return
        context = _context_of(scope)
        token = request_context.enter(context)
        REQUESTS_IN_PROGRESS.inc()
        started = time.perf_counter()
        answer = _Answer(send, context.request_id, self._version)
        try:
            await self._app(scope, receive, answer.send)
        except Exception:  # noqa: BLE001 - the outermost frame: whatever a handler raises becomes a 500 and a log line
            self._log.error("unhandled exception", exc_info=True)
            await answer.fail()
        finally:
            REQUESTS_IN_PROGRESS.dec()
            self._record(scope, context, answer.status, time.perf_counter() - started)
            request_context.leave(token)

    def _record(self, scope: Scope, context: RequestContext, status: int, duration_s: float) -> None:
        matched = scope.get("route")
        route = str(getattr(matched, "path", UNMATCHED))
        self_s = max(0.0, duration_s - context.waited_s)
        REQUESTS.labels(route, scope["method"], str(status)).inc()
        REQUEST_DURATION.labels(route).observe(duration_s)
        REQUEST_SELF.labels(route).observe(self_s)
        self._log.info(
            "request",
            span_id=context.span_id,
            parent_id=context.parent_id,
            method=scope["method"],
            route=route,
            status=status,
            duration_ms=round(duration_s * 1000, 2),
            self_ms=round(self_s * 1000, 2),
        )


class _Answer:
    """Notes the status of the answer and marks it with the request id, and with the version of the build that answers."""

    __slots__ = ("_headers", "_send", "status")

    def __init__(self, send: Send, request_id: str, version: str) -> None:
        self._send = send
        self._headers = ((b"x-request-id", request_id.encode("latin-1")), (b"x-app-version", version.encode("latin-1")))
        self.status = CLIENT_GONE

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), *self._headers]
        await self._send(message)

    async def fail(self) -> None:
        """Answer 500, or break the connection off where an answer has begun, so that the client sees it is cut short."""
        if self.status != CLIENT_GONE:
            raise ConnectionResetError("the handler failed after its answer had begun")
        body = json.dumps(error_body("internal_error", "internal error")).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await self.send({"type": "http.response.start", "status": 500, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})


def _context_of(scope: Scope) -> RequestContext:
    request_id = traceparent = None
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            request_id = value.decode("latin-1")
        elif name == b"traceparent":
            traceparent = value.decode("latin-1")
    return request_context.new_context(request_id, traceparent)
