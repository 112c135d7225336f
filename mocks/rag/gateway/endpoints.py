"""The gateway's request handlers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mocks.rag.common.app import ApiError, json_object
from mocks.rag.common.attention import while_connected
from mocks.rag.common.client import ServiceClient
from mocks.rag.common.keys import ApiKey
from mocks.rag.common.metrics import RATE_LIMITED
from mocks.rag.gateway.auth import ADMIN, Authenticator
from mocks.rag.gateway.health import HealthProbes, Report
from mocks.rag.gateway.limiter import RequestLimiter
from mocks.rag.gateway.plans import Plans
from mocks.rag.gateway.routing import StreamRelay, relay
from mocks.rag.gateway.shedding import Shedder
from mocks.rag.gateway.usage import UsageLedger

SHED_RETRY_AFTER_S = 2
QUESTION_BYTES_MAX = 64 * 1024
DOCUMENT_BYTES_MAX = 16 * 1024 * 1024


@dataclass(frozen=True)
class Endpoints:
    """Handlers over the gateway's parts. Every client request is authenticated, limited, passed on and counted, in this order."""

    query: ServiceClient
    document: ServiceClient
    authenticator: Authenticator
    plans: Plans
    limiter: RequestLimiter
    usage: UsageLedger
    shedder: Shedder
    probes: HealthProbes
    version: str

    async def ask(self, request: Request) -> Response:
        """POST /api/ask, streaming or not."""
        key = self.authenticator.authenticate(request).key
        async with self._counted(key) as ended:
            self._shed()
            await self._limit(key, "ask")
            body = await json_object(request, max_bytes=QUESTION_BYTES_MAX)
            if body.get("stream") is True:
                ended.later = True
                return StreamRelay(self.query, "/ask", body, lambda status: self.usage.count(key, status=status))
            # Answering changes nothing, so a question may be asked again.
            return ended.by(await while_connected(request.receive, relay(self.query, "POST", "/ask", body=body, idempotent=True)))

    async def search(self, request: Request) -> Response:
        """POST /api/search."""
        key = self.authenticator.authenticate(request).key
        async with self._counted(key) as ended:
            await self._limit(key, "search")
            body = await json_object(request, max_bytes=QUESTION_BYTES_MAX)
            return ended.by(await while_connected(request.receive, relay(self.query, "POST", "/search", body=body, idempotent=True)))

    async def ingest(self, request: Request) -> Response:
        """POST /api/documents; goes on for a client that left: what arrived is taken in.

        Repeated only where the body names the document: without a `doc_id` each try would make another one.
        """
        key = self.authenticator.authenticate(request).key
        async with self._counted(key) as ended:
            await self._limit(key, "documents")
            body = await json_object(request, max_bytes=DOCUMENT_BYTES_MAX)
            return ended.by(await relay(self.document, "POST", "/documents", body=body, idempotent="doc_id" in body))

    async def document_status(self, request: Request) -> Response:
        """GET /api/documents/{doc_id}."""
        key = self.authenticator.authenticate(request).key
        async with self._counted(key) as ended:
            await self._limit(key, "documents_status")
            path = "/documents/" + quote(request.path_params["doc_id"], safe="")
            return ended.by(await relay(self.document, "GET", path, idempotent=True))

    async def issue_token(self, request: Request) -> Response:
        """POST /api/auth/token."""
        caller = self.authenticator.authenticate(request)
        async with self._counted(caller.key) as ended:
            await self._limit(caller.key, "token")
            token = self.authenticator.issue(request, caller)
            body = {"access_token": token.access_token, "token_type": "bearer", "expires_in": token.expires_in_s}
            return ended.by(JSONResponse(body, headers={"cache-control": "no-store"}))

    async def own_usage(self, request: Request) -> Response:
        """GET /api/usage: `{client, key_id, plan, limits, usage: {total, succeeded, failed, limited}}`, since this gateway started."""
        key = self.authenticator.authenticate(request).key
        limits = self.plans.of(key).as_dict()
        body = {"client": key.client, "key_id": key.id, "plan": key.plan, "limits": limits, "usage": self.usage.of(key).as_dict()}
        return JSONResponse(body)

    async def health(self, _request: Request) -> Response:
        """GET /api/health."""
        report = await self.probes.entry()
        return _health({"status": report["status"], "response_time_ms": report["response_time_ms"], "version": self.version})

    async def health_detailed(self, request: Request) -> Response:
        """GET /api/health/detailed, for admins: services, replicas as the balancers see them, counters, where limits are counted."""
        caller = self.authenticator.authenticate(request)
        self.authenticator.require(request, caller, ADMIN)
        report = await self.probes.services()
        clients = (self.query, self.document)
        rotation = {client.callee: {one.instance.name: one.in_rotation for one in client.balancer.replicas} for client in clients}
        extra = {"version": self.version, "requests": self.usage.totals(), "in_rotation": rotation, "limits_in": self.limiter.counts_in}
        return _health({**report, **extra})

    async def health_llm(self, _request: Request) -> Response:
        """GET /api/health/llm."""
        return _health(await self.probes.providers())

    async def health_embeddings(self, _request: Request) -> Response:
        """GET /api/health/embeddings."""
        return _health(await self.probes.embeddings())

    def _shed(self) -> None:
        if self.shedder.refuses():
            RATE_LIMITED.labels("shed").inc()
            raise ApiError(503, "shed", "load is being shed, try again later", {"retry-after": str(SHED_RETRY_AFTER_S)})

    async def _limit(self, key: ApiKey, route: str) -> None:
        refusal = await self.limiter.check(key.client, route, self.plans.of(key))
        if refusal is not None:
            message = f"the limit {refusal.reason} of the plan is reached"
            raise ApiError(429, "rate_limited", message, {"retry-after": str(refusal.retry_after_s)})

    @asynccontextmanager
    async def _counted(self, key: ApiKey) -> AsyncIterator[_Ended]:
        ended = _Ended()
        try:
            yield ended
        except ApiError as error:
            ended.status = error.status
            raise
        finally:
            if not ended.later:
                self.usage.count(key, status=ended.status)


class _Ended:
    """How a request ended; `later` when its stream will tell. An error that nobody expected counts as 500."""

    __slots__ = ("later", "status")

    def __init__(self) -> None:
        self.status = 500
        self.later = False

    def by(self, response: Response) -> Response:
        self.status = response.status_code
        return response


def _health(report: Report) -> Response:
    return JSONResponse(report, 503 if report["status"] == "down" else 200)
