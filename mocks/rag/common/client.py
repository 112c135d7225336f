"""Calls to other services: balancing, health, retries, circuit breaker, telemetry."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx

from mocks.rag.common.balancer import Balancer, Replica
from mocks.rag.common.breaker import CircuitBreaker, Permit
from mocks.rag.common.call import Call
from mocks.rag.common.context import current
from mocks.rag.common.errors import NO_RETRY_HEADER, Outcome, UpstreamError
from mocks.rag.common.metrics import CLIENT_IN_PROGRESS, CLIENT_REQUESTS, CLIENT_RETRIES
from mocks.rag.common.outbound import error_outcome, observe, status_outcome
from mocks.rag.common.registry import Instance, Registry
from mocks.rag.common.retry import RetryBudget, parse_retry_after, retrying

MAX_CONNECTIONS = 512
MAX_KEEPALIVE = 20
"""Few, because httpcore's pool compares every idle connection with every other one at every request: 128 of them, left behind by a burst,
cost 6 ms of CPU a request, 20 none that shows. A connection on demand costs less."""
KEEPALIVE_EXPIRY_S = 5.0
"""Well below the servers' KEEP_ALIVE_S."""
CONNECT_TIMEOUT_S = 1.0
PROBE_TIMEOUT_S = 1.0

_REFUSED_STATUS = frozenset({429, 503})
"""The callee did not take the request up, so that any call may be repeated."""
_BROKEN_OFF_STATUS = frozenset({502, 504})
"""Someone behind the callee failed, perhaps after part of the work was done."""
# 502-504 speak of someone behind the replica, 501 of the request: the replica itself is in order.
_INNOCENT_STATUS = frozenset({501, 502, 503, 504})
_TIMEOUTS = (httpx.ReadTimeout, httpx.WriteTimeout, httpx.PoolTimeout)
_CONNECT_ERRORS = (httpx.ConnectError, httpx.ConnectTimeout)
_LOST = (httpx.ReadError, httpx.WriteError, httpx.CloseError, httpx.RemoteProtocolError)


class StreamedResponse:
    """An answer whose body is read while it arrives. `status_code` and `headers` as in httpx.

    Iterate once over it for the raw chunks; raises UpstreamError when the callee breaks off or is silent for the timeout.
    """

    def __init__(self, callee: str, response: httpx.Response, first: bytes, rest: AsyncIterator[bytes]) -> None:
        self.status_code = response.status_code
        self.headers = response.headers
        self._callee = callee
        self._first = first
        self._rest = rest
        self._context = current()
        self.broken = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._first:
            yield self._first
        while (chunk := await self._next()) is not None:
            yield chunk

    async def read(self) -> bytes:
        """The whole body."""
        return b"".join([chunk async for chunk in self])

    async def _next(self) -> bytes | None:
        self._context.wait_begin()
        try:
            return await anext(self._rest, None)
        except httpx.TransportError as error:
            self.broken = True
            outcome = error_outcome(error, _TIMEOUTS, _CONNECT_ERRORS, _LOST)
            raise UpstreamError(self._callee, outcome, f"broke off: {_words(error)}") from error
        finally:
            self._context.wait_end()


@dataclass(frozen=True)
class _Attempt:
    """One attempt's end: a response, or the outcome and reason of its absence."""

    outcome: Outcome
    reason: str = ""
    response: httpx.Response | None = None
    streamed: StreamedResponse | None = None
    replica: Replica | None = None
    retry: bool = False
    retry_after_s: float | None = None


class ServiceClient:
    """Client of one service of the registry.

    - `timeout_s` bounds one attempt (of a stream: its first byte, then each silence between chunks).
    - Tried again, up to `attempts` times in all, on another replica where there is one: connect errors, 503, and 429 with a
      short Retry-After; for idempotent calls also broken connections, 502/504, and timeouts if another replica is in rotation.
      Answers marked `x-should-retry: false` are final.
    - The circuit breaker counts broken and silent connections and 5xx, but neither answers so marked (someone behind the callee failed) nor
      those with a Retry-After (it knows itself when to be asked again).
    - A call without an answer raises UpstreamError; an answer with any status is returned.
    - Its `user-agent` is the calling service, which the registry names.
    - Connections closed by a restarted server are noticed before they are used again (httpx looks at idle ones), so they cost nothing.
    """

    def __init__(
        self,
        callee: str,
        registry: Registry,
        *,
        timeout_s: float,
        attempts: int = 3,
        budget: RetryBudget | None = None,
        breaker: CircuitBreaker | None = None,
    ) -> None:
        self.callee = callee
        self._timeout_s = timeout_s
        self._attempts = attempts
        self._budget = budget or RetryBudget()
        self._breaker = breaker
        self._in_progress = CLIENT_IN_PROGRESS.labels(callee)
        self._retries = CLIENT_RETRIES.labels(callee)
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s)),
            limits=httpx.Limits(
                max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_KEEPALIVE, keepalive_expiry=KEEPALIVE_EXPIRY_S
            ),
            headers=_own_headers(registry.caller),
            verify=_tls_context(),
            trust_env=False,
        )
        on_return = breaker.probe_soon if breaker else lambda: None
        self.balancer = Balancer(callee, registry, self._probe, on_return=on_return)

    async def request(
        self, method: str, path: str, *, json: Any = None, headers: Mapping[str, str] | None = None, idempotent: bool | None = None
    ) -> httpx.Response:
        """The whole answer. `idempotent` defaults to what the method promises.

        Raises UpstreamError, or ApiError 400 for a body that JSON cannot carry (half a surrogate pair, NaN), which is its author's fault.
        """
        attempt = await self._perform(Call.of(method, path, json, headers, idempotent, stream=False))
        if attempt.response is None:
            raise UpstreamError(self.callee, attempt.outcome, attempt.reason)
        return attempt.response

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, *, json: Any = None, headers: Mapping[str, str] | None = None, idempotent: bool | None = None
    ) -> AsyncIterator[StreamedResponse]:
        """The answer from its first byte on; until then retried like `request`. Raises as that does."""
        attempt = await self._perform(Call.of(method, path, json, headers, idempotent, stream=True))
        response, streamed, replica = attempt.response, attempt.streamed, attempt.replica
        if response is None or replica is None:
            raise UpstreamError(self.callee, attempt.outcome, attempt.reason)
        if streamed is None:
            yield StreamedResponse(self.callee, response, response.content, _nothing())
            return
        try:
            yield streamed
        finally:
            self._leave(replica)
            if streamed.broken:
                self.balancer.failed(replica)
            await response.aclose()

    async def close(self) -> None:
        """Close connections and end health checks."""
        await self.balancer.close()
        await self._http.aclose()

    async def _perform(self, call: Call) -> _Attempt:
        context = current()
        call.headers.update(context.outgoing_headers())
        self._budget.deposit()
        with context.waiting():
            attempt: _Attempt = await retrying(self._attempts, self._budget, self._retries.inc)(self._attempt, call)
        return attempt

    async def _attempt(self, call: Call) -> _Attempt:
        replica = self.balancer.pick(call.tried)
        if replica is None:
            CLIENT_REQUESTS.labels(self.callee, "connect_error").inc()
            return _Attempt("connect_error", "no instance is registered")
        permit = self._breaker.admit() if self._breaker else None
        if self._breaker is not None and permit is None:
            CLIENT_REQUESTS.labels(self.callee, "circuit_open").inc()
            return _Attempt("circuit_open", f"circuit open, next probe in {self._breaker.retry_after_s:.0f} s")
        call.tried.add(replica)
        self._enter(replica)
        started = time.perf_counter()
        attempt: _Attempt | None = None
        try:
            attempt = await self._exchange(call, replica, permit)
        finally:
            if attempt is None:  # cancelled: the caller gave up
                attempt = _Attempt("timeout", "given up by the caller")
                if self._breaker is not None and permit is not None:
                    self._breaker.abandon(permit)
            observe(self.callee, attempt.outcome, time.perf_counter() - started)
            if attempt.streamed is None:
                self._leave(replica)
        return attempt

    async def _exchange(self, call: Call, replica: Replica, permit: Permit | None) -> _Attempt:
        request = self._http.build_request(call.method, replica.instance.url + call.path, content=call.content, headers=call.headers)
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self._http.send(request, stream=call.stream)
                streamed = await self._open(response) if call.stream else None
        except (httpx.TransportError, TimeoutError) as error:
            self._record(permit, ok=False)
            return self._failure(call, replica, error)
        attempt = self._answer(call, replica, response, streamed)
        # Marked as final, a failure lies behind the callee, not in it.
        self._record(permit, ok=response.status_code < 500 or _is_final(response) or attempt.retry_after_s is not None)
        return attempt

    def _record(self, permit: Permit | None, *, ok: bool) -> None:
        if self._breaker is not None and permit is not None:
            self._breaker.record(permit, ok=ok)

    async def _open(self, response: httpx.Response) -> StreamedResponse | None:
        """Wait for the first byte; None for an error answer, which is read in full instead."""
        try:
            if not response.is_success:
                await response.aread()
                return None
            rest = response.aiter_raw()
            return StreamedResponse(self.callee, response, await anext(rest, b""), rest)
        except BaseException:
            await response.aclose()
            raise

    def _failure(self, call: Call, replica: Replica, error: Exception) -> _Attempt:
        outcome = error_outcome(error, _TIMEOUTS, _CONNECT_ERRORS, _LOST)
        self.balancer.failed(replica)
        if outcome == "timeout":
            retry = call.idempotent and self.balancer.has_other(call.tried)
        else:
            retry = call.idempotent or outcome == "connect_error"
        return _Attempt(outcome, _words(error), retry=retry)

    def _answer(self, call: Call, replica: Replica, response: httpx.Response, streamed: StreamedResponse | None) -> _Attempt:
        status = response.status_code
        retry_after_s = parse_retry_after(response.headers)
        if status >= 500 and status not in _INNOCENT_STATUS:
            self.balancer.failed(replica)
        else:
            self.balancer.succeeded(replica)
        if status == 429 and retry_after_s is None:
            retry = False  # nobody knows for how long
        else:
            retry = status in _REFUSED_STATUS or (call.idempotent and status in _BROKEN_OFF_STATUS)
        retry = retry and not _is_final(response)
        return _Attempt(status_outcome(status), f"status {status}", response, streamed, replica, retry, retry_after_s)

    async def _probe(self, instance: Instance) -> bool:
        try:
            response = await self._http.get(instance.url + "/ready", timeout=PROBE_TIMEOUT_S)
        except httpx.TransportError:
            return False
        return response.status_code == 200

    def _enter(self, replica: Replica) -> None:
        replica.in_flight += 1
        self._in_progress.inc()

    def _leave(self, replica: Replica) -> None:
        replica.in_flight -= 1
        self._in_progress.dec()


def _own_headers(caller: str | None) -> dict[str, str]:
    """What every request says: by its `user-agent` a callee tells the services that call it apart."""
    return {"accept-encoding": "identity"} | ({"user-agent": caller} if caller else {})


def _is_final(response: httpx.Response) -> bool:
    return bool(response.headers.get(NO_RETRY_HEADER) == "false")


@cache
def _tls_context() -> ssl.SSLContext:
    """One for all clients of the process: loading the certificates takes 15 ms each time."""
    return ssl.create_default_context()


async def _nothing() -> AsyncIterator[bytes]:
    empty: tuple[bytes, ...] = ()
    for chunk in empty:
        yield chunk


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ")
