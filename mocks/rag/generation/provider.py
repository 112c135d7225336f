"""One OpenAI-compatible provider: single attempts, each guarded by its circuit breaker and counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from mocks.rag.common.breaker import CircuitBreaker
from mocks.rag.common.client import ServiceClient
from mocks.rag.common.errors import Outcome, UpstreamError
from mocks.rag.common.metrics import CLIENT_REQUESTS, LLM_FIRST_TOKEN, LLM_REQUESTS, LLM_TOKENS
from mocks.rag.common.outbound import status_outcome
from mocks.rag.common.registry import Registry
from mocks.rag.common.retry import parse_retry_after
from mocks.rag.generation.events import Answer, StreamReader, UnusableAnswerError, parse_completion
from mocks.rag.generation.prompt import Message

ATTEMPT_TIMEOUT_S = 10.0
"""To the first token of an attempt, then between two; where nothing is streamed, to the whole answer."""
PATIENCE_S = 1.0
"""A provider that asks for a longer pause than this is left for the other one."""

_COMPLETIONS = "/v1/chat/completions"
_OUR_FAULT = frozenset({400, 413, 422})  # the other provider would refuse the request as well
_WORTH_REPEATING: frozenset[Outcome] = frozenset({"connect_error", "connection_lost", "http_5xx", "error"})


class ProviderFailureError(Exception):
    """An attempt gave no usable answer.

    `retry`: the same provider may answer if asked again, after `retry_after_s` where it said so. `our_fault`: no provider will.
    """

    def __init__(
        self, provider: str, outcome: Outcome, reason: str, *, retry_after_s: float | None = None, our_fault: bool = False
    ) -> None:
        super().__init__(f"{provider}: {reason}")
        self.provider = provider
        self.outcome = outcome
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.our_fault = our_fault

    @property
    def retry(self) -> bool:
        """Whether another attempt at this provider is worth its time."""
        if self.retry_after_s is not None:
            return self.retry_after_s <= PATIENCE_S
        return self.outcome in _WORTH_REPEATING


class Provider:
    """`name` is its service in the registry. Every method makes one attempt and raises ProviderFailureError."""

    def __init__(self, name: str, registry: Registry, model: str, api_key: str | None, *, timeout_s: float = ATTEMPT_TIMEOUT_S) -> None:
        self.name = name
        self.breaker = CircuitBreaker(name)
        self._model = model
        self._headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._timeout_s = timeout_s
        self._client = ServiceClient(name, registry, timeout_s=timeout_s, attempts=1)

    async def complete(self, messages: Sequence[Message]) -> Answer:
        """The whole answer."""
        with self._attempt():
            body = self._body(messages, stream=False)
            response = await self._client.request("POST", _COMPLETIONS, json=body, headers=self._headers)
            self._check(response.status_code, response.headers)
            answer = parse_completion(response.content)
            self._count(answer)
            return answer

    async def stream(self, messages: Sequence[Message]) -> AsyncGenerator[str | Answer, None]:
        """Pieces of the answer's text as they come, none empty; then, last, the answer itself."""
        with self._attempt():
            loop = asyncio.get_running_loop()
            started_s = loop.time()
            reader = StreamReader()
            body = self._body(messages, stream=True)
            async with self._client.stream("POST", _COMPLETIONS, json=body, headers=self._headers) as response:
                self._check(response.status_code, response.headers)
                chunks = aiter(response)
                first = True
                deadline_s = started_s + self._timeout_s
                while (text := await _next_text(chunks, reader, deadline_s)) is not None:
                    if first:
                        LLM_FIRST_TOKEN.labels(self.name, reader.model or self._model).observe(loop.time() - started_s)
                        first = False
                    yield text
                    deadline_s = loop.time() + self._timeout_s
            answer = reader.answer
            self._count(answer)
        yield answer

    async def close(self) -> None:
        """Close connections."""
        await self._client.close()

    @contextmanager
    def _attempt(self) -> Iterator[None]:
        """Ask the breaker, tell it how the attempt ended, count it; every kind of failure leaves as ProviderFailureError."""
        permit = self.breaker.admit()
        if permit is None:
            CLIENT_REQUESTS.labels(self.name, "circuit_open").inc()
            LLM_REQUESTS.labels(self.name, self._model, "circuit_open").inc()
            raise ProviderFailureError(self.name, "circuit_open", f"circuit open for another {self.breaker.retry_after_s:.0f} s")
        try:
            yield
        except (ProviderFailureError, UpstreamError, UnusableAnswerError, TimeoutError) as error:
            failure = self._failure(error)
            self.breaker.record(permit, ok=failure.our_fault)
            LLM_REQUESTS.labels(self.name, self._model, failure.outcome).inc()
            raise failure from error
        except BaseException:  # cancelled, or closed by a client that left: says nothing about the provider
            self.breaker.abandon(permit)
            raise
        self.breaker.record(permit, ok=True)

    def _failure(self, error: Exception) -> ProviderFailureError:
        match error:
            case ProviderFailureError():
                return error
            case UpstreamError():
                return ProviderFailureError(self.name, error.outcome, error.message)
            case TimeoutError():
                return ProviderFailureError(self.name, "timeout", f"no token for {self._timeout_s:g} s")
            case _:
                return ProviderFailureError(self.name, "error", str(error))

    def _check(self, status: int, headers: Mapping[str, str]) -> None:
        if status != 200:
            outcome = status_outcome(status) if status >= 400 else "error"
            wait_s = _pause_s(headers)
            raise ProviderFailureError(self.name, outcome, f"status {status}", retry_after_s=wait_s, our_fault=status in _OUR_FAULT)

    def _count(self, answer: Answer) -> None:
        LLM_REQUESTS.labels(self.name, answer.model, "ok").inc()
        LLM_TOKENS.labels(self.name, answer.model, "prompt").inc(answer.usage.prompt_tokens)
        LLM_TOKENS.labels(self.name, answer.model, "completion").inc(answer.usage.completion_tokens)

    def _body(self, messages: Sequence[Message], *, stream: bool) -> dict[str, Any]:
        body: dict[str, Any] = {"model": self._model, "messages": list(messages), "temperature": 0}
        return {**body, "stream": True, "stream_options": {"include_usage": True}} if stream else body


async def _next_text(chunks: AsyncIterator[bytes], reader: StreamReader, deadline_s: float) -> str | None:
    """The next text, None at the stream's end. Bytes that hold no token (comments that keep the connection warm) buy no time.

    Raises TimeoutError at `deadline_s` of the event loop's clock.
    """
    async with asyncio.timeout_at(deadline_s):
        while (chunk := await anext(chunks, None)) is not None:
            if text := reader.feed(chunk):
                return text
    return None


def _pause_s(headers: Mapping[str, str]) -> float | None:
    """How long the provider asks to wait, by the finer of its two headers."""
    try:
        return max(0.0, float(headers["retry-after-ms"]) / 1_000)
    except (KeyError, ValueError):
        return parse_retry_after(headers)
