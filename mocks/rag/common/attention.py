"""Work for a client only as long as the client is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive

from mocks.rag.common.errors import ApiError
from mocks.rag.common.telemetry import CLIENT_GONE

T = TypeVar("T")

_SSE_HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}


async def while_connected(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, cancelled when the client hangs up: nobody downstream must go on for nobody.

    `receive` is the request's own: call this after the body has been read, and before an answer begins. Raises ApiError 499 where the
    client went.
    """
    working = asyncio.create_task(work)
    watching = asyncio.create_task(_disconnected(receive))
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ApiError(CLIENT_GONE, "client_gone", "the client hung up")
    finally:
        working.cancel()
        watching.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)


async def event_stream(request: Request, frames: AsyncGenerator[bytes, None]) -> StreamingResponse:
    """The frames as an answer, from the moment that the first one is there: what fails up to then has a status of its own."""
    first = await while_connected(request.receive, _first(frames))
    return StreamingResponse(_with_first(first, frames), media_type="text/event-stream", headers=_SSE_HEADERS)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _first(frames: AsyncGenerator[bytes, None]) -> bytes:
    return await anext(frames)


async def _with_first(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    try:
        yield first
        async for frame in rest:
            yield frame
    finally:
        await rest.aclose()
