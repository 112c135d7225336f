"""From a question to an answer: embed, retrieve, generate, with one time budget over all of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeVar

from mocks.rag.common.context import current
from mocks.rag.common.errors import NO_RETRY_HEADER, ApiError, UpstreamError
from mocks.rag.common.metrics import DEGRADED
from mocks.rag.query import sse
from mocks.rag.query.honesty import NO_CONTEXT, merge, with_reasons
from mocks.rag.query.requests import Ask, SearchFor
from mocks.rag.query.sessions import Sessions
from mocks.rag.query.upstream import Retrieved, Upstream, passed_on

T = TypeVar("T")

BUDGET_S = 25.0
REFUSAL = "I cannot find this in the provided documents."


@dataclass(frozen=True)
class _Prepared:
    """A question ready for generation; `deadline_s` on the event loop's clock."""

    question: str
    retrieved: Retrieved
    deadline_s: float


class Answering:
    """`budget_s` bounds a request from its arrival to the last byte; what exceeds it is a 504, or an error frame in a stream.

    `rag_degraded_total` counts here only what this service decides (`no_context`); the others count their own reasons.
    """

    def __init__(self, upstream: Upstream, sessions: Sessions, version: str, budget_s: float = BUDGET_S) -> None:
        self._upstream = upstream
        self._sessions = sessions
        self._version = version
        self._budget_s = budget_s

    async def answer(self, ask: Ask) -> dict[str, Any]:
        """The body of a JSON answer. Raises ApiError."""
        prepared = await self._prepare(ask)
        if prepared.retrieved.results:
            generated = await self._within(prepared.deadline_s, self._generate(prepared))
        else:
            generated = {"answer": REFUSAL, **self._refused()}
        body = with_reasons(generated, prepared.retrieved.degraded_reasons)
        return {"request_id": current().request_id, **body, "sources": prepared.retrieved.sources(), "version": self._version}

    async def stream(self, ask: Ask) -> AsyncGenerator[bytes, None]:
        """Frames of the answer. What fails before the first one raises ApiError at the first `anext`, later it is an error frame."""
        prepared = await self._prepare(ask)
        first = sse.encode({"sources": prepared.retrieved.sources(), "request_id": current().request_id})
        if not prepared.retrieved.results:
            yield first
            yield sse.encode({"delta": REFUSAL})
            yield sse.encode({"done": True, **with_reasons(self._refused(), prepared.retrieved.degraded_reasons)})
            yield sse.DONE
            return
        async with aclosing(self._generated_frames(prepared)) as frames:
            opened = await self._within(prepared.deadline_s, anext(frames))
            yield first
            yield opened
            try:
                while (frame := await self._within(prepared.deadline_s, anext(frames, None))) is not None:
                    yield frame
            except ApiError as error:
                yield sse.encode({"error": {"message": error.message, "code": error.code}})

    async def search(self, asked: SearchFor) -> dict[str, Any]:
        """The body of a search answer. Raises ApiError."""
        retrieved = await self._within(self._deadline_s(), self._retrieve(asked.query, asked.top_k))
        reasons = merge(retrieved.degraded_reasons)
        return {"sources": retrieved.sources(with_text=True), "degraded": bool(reasons), "degraded_reasons": reasons}

    async def _prepare(self, ask: Ask) -> _Prepared:
        deadline_s = self._deadline_s()
        question = self._sessions.resolve(ask.session_id, ask.question)
        retrieved = await self._within(deadline_s, self._retrieve(question, ask.top_k))
        return _Prepared(question, retrieved, deadline_s)

    async def _retrieve(self, text: str, top_k: int) -> Retrieved:
        return await self._upstream.retrieve(text, await self._upstream.embed(text), top_k)

    async def _generate(self, prepared: _Prepared) -> dict[str, Any]:
        return await self._upstream.generate(prepared.question, prepared.retrieved.contexts())

    async def _generated_frames(self, prepared: _Prepared) -> AsyncGenerator[bytes, None]:
        """Generation's frames, its last one with everybody's reasons. Raises ApiError."""
        async with self._upstream.generate_stream(prepared.question, prepared.retrieved.contexts()) as response:
            if response.status_code != 200:
                raise passed_on("generation", response.status_code, await response.read(), response.headers)
            try:
                async with aclosing(_passed_through(response, prepared.retrieved.degraded_reasons)) as frames:
                    async for frame in frames:
                        yield frame
            except sse.BrokenStreamError as error:
                raise UpstreamError("generation", "error", str(error)) from error

    def _refused(self) -> dict[str, Any]:
        """Nothing was found, so no provider was asked: the fields say so."""
        DEGRADED.labels(NO_CONTEXT).inc()
        return {
            "citations": [],
            "degraded": True,
            "degraded_reasons": [NO_CONTEXT],
            "model": None,
            "provider": None,
            "finish_reason": "stop",
            "attempts": 0,
            "usage": {"prompt_tokens": 0, "completion_tokens": 0},
        }

    def _deadline_s(self) -> float:
        return asyncio.get_running_loop().time() + self._budget_s

    async def _within(self, deadline_s: float, step: Awaitable[T]) -> T:
        """One step of a request. Never held over a `yield`: the stream's consumer may be another task."""
        try:
            async with asyncio.timeout_at(deadline_s):
                return await step
        except TimeoutError as error:
            raise ApiError(504, "budget_exceeded", f"no answer within {self._budget_s:g} s", {NO_RETRY_HEADER: "false"}) from error


async def _passed_through(chunks: AsyncIterable[bytes], earlier_reasons: list[str]) -> AsyncGenerator[bytes, None]:
    """Up to and with `[DONE]`, or an error frame of generation. Raises `BrokenStreamError` for an end before that."""
    async with aclosing(sse.frames(chunks)) as frames:
        async for frame in frames:
            if sse.is_delta(frame):
                yield frame
                continue
            if frame == sse.DONE:
                yield frame
                return
            payload = sse.decode(frame)
            yield sse.encode(with_reasons(payload, earlier_reasons)) if payload.get("done") else frame
            if "error" in payload:
                return
    raise sse.BrokenStreamError("ended before it was done")
