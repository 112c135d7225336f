"""Passing requests on to query and document, whole or as a stream.

Bodies pass through as they are: `degraded` and its reasons reach the client exactly as the services set them.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from mocks.rag.common.attention import while_connected
from mocks.rag.common.client import ServiceClient, StreamedResponse
from mocks.rag.common.errors import ApiError, UpstreamError, error_body

STREAM_TYPE = "text/event-stream"
_PASSED_HEADERS = ("content-type", "retry-after")
_FRAME_END = b"\n\n"
_ERROR_FRAME = b'data: {"error"'
_LAST_FRAME = b"data: [DONE]"

Ended = Callable[[int], None]
"""Called once with the status that the request counts as: a stream that failed after its first byte counts as 502."""


async def relay(client: ServiceClient, method: str, path: str, *, body: Any = None, idempotent: bool) -> Response:
    """The callee's answer as ours. Raises UpstreamError."""
    answer = await client.request(method, path, json=body, idempotent=idempotent)
    return Response(answer.content, answer.status_code, _passed(answer.headers))


class StreamRelay(Response):
    """The callee's event stream as ours, chunk by chunk; an answer that is no stream passes whole."""

    def __init__(self, client: ServiceClient, path: str, body: Any, ended: Ended) -> None:
        super().__init__()
        self._client = client
        self._path = path
        self._body = body
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        status = 502
        try:
            async with AsyncExitStack() as stack:
                opening = stack.enter_async_context(self._client.stream("POST", self._path, json=self._body, idempotent=True))
                answer = await while_connected(receive, opening)
                if answer.headers.get("content-type", "").startswith(STREAM_TYPE):
                    progress = _Progress(answer)
                    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
                    await StreamingResponse(progress.chunks(), media_type=STREAM_TYPE, headers=headers)(scope, receive, send)
                    status = 200 if progress.complete else 502
                else:
                    status = answer.status_code
                    await Response(await answer.read(), status, _passed(answer.headers))(scope, receive, send)
        except ApiError as error:
            status = error.status
            raise
        finally:
            self._ended(status)


class _Progress:
    """Relays chunks and knows whether the stream came to its proper end.

    Only whole frames pass: a callee that breaks off inside one leaves no half frame before the error frame.
    """

    def __init__(self, answer: StreamedResponse) -> None:
        self._answer = answer
        self._failed = False
        self._done = False

    @property
    def complete(self) -> bool:
        """Whether the last frame came and no error frame before it."""
        return self._done and not self._failed

    async def chunks(self) -> AsyncIterator[bytes]:
        """The stream for the client; never raises UpstreamError, but ends with an error frame."""
        rest = b""
        try:
            async for chunk in self._answer:
                chunk = rest + chunk
                cut = chunk.rfind(_FRAME_END)
                if cut < 0:
                    rest = chunk
                    continue
                frames, rest = chunk[: cut + 2], chunk[cut + 2 :]
                self._note(frames)
                yield frames
        except UpstreamError as error:
            yield self._fail(error.code, error.message)
            return
        if not self._done and not self._failed:
            yield self._fail("stream_truncated", "the stream ended before it was complete")

    def _note(self, frames: bytes) -> None:
        self._failed = self._failed or _ERROR_FRAME in frames
        self._done = self._done or _LAST_FRAME in frames

    def _fail(self, code: str, message: str) -> bytes:
        self._failed = True
        return b"data: " + json.dumps(error_body(code, message), separators=(",", ":")).encode() + _FRAME_END


def _passed(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: headers[name] for name in _PASSED_HEADERS if name in headers}
