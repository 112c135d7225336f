"""Routes of the gateway (docs/reference-stack.md) and how its parts are put together.

`/api/health`, `/api/health/llm` and `/api/health/embeddings` need no credentials, for load balancers and probes have none;
`/api/health/detailed` needs the role `admin`; all else needs a valid key or token.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route

from mocks.rag.common.app import ServiceConfig, create_app
from mocks.rag.common.breaker import CircuitBreaker
from mocks.rag.common.client import ServiceClient
from mocks.rag.common.config import ConfigError, required
from mocks.rag.common.keys import KeyStore
from mocks.rag.common.registry import Registry
from mocks.rag.common.tasks import cancel_all, keep_running
from mocks.rag.gateway.auth import Authenticator
from mocks.rag.gateway.endpoints import Endpoints
from mocks.rag.gateway.health import HealthProbes
from mocks.rag.gateway.limiter import RequestLimiter
from mocks.rag.gateway.plans import Plans
from mocks.rag.gateway.shedding import Shedder
from mocks.rag.gateway.usage import UsageLedger

QUERY_TIMEOUT_S = 30.0
"""Above what query itself allows generation, with room for embedding and retrieval: its own, better answer comes first."""
DOCUMENT_TIMEOUT_S = 10.0
USER_TIMEOUT_S = 1.0
MIN_SECRET_BYTES = 32


@dataclass(frozen=True)
class GatewaySettings:
    """Settings of the gateway beyond those of every service."""

    redis_url: str
    keys_file: Path
    jwt_secret: str
    jwt_ttl_s: int
    cors_origins: tuple[str, ...]

    @classmethod
    def from_env(cls) -> GatewaySettings:
        """Read `REDIS_URL`, `KEYS_FILE`, `JWT_SECRET`, `JWT_TTL_S`, `CORS_ORIGINS`. Raises ConfigError."""
        secret = required("JWT_SECRET")
        if len(secret.encode()) < MIN_SECRET_BYTES:
            raise ConfigError(f"JWT_SECRET must have at least {MIN_SECRET_BYTES} bytes (RFC 7518, 3.2)")
        ttl = os.environ.get("JWT_TTL_S") or "3600"
        if not ttl.isdigit() or int(ttl) == 0:
            raise ConfigError(f"JWT_TTL_S must be a number of seconds, not {ttl!r}")
        origins = os.environ.get("CORS_ORIGINS", "")
        return cls(
            redis_url=required("REDIS_URL"),
            keys_file=Path(required("KEYS_FILE")),
            jwt_secret=secret,
            jwt_ttl_s=int(ttl),
            cors_origins=tuple(origin.strip() for origin in origins.split(",") if origin.strip()),
        )


def create(config: ServiceConfig, settings: GatewaySettings, registry: Registry) -> Starlette:
    """The application of the gateway."""
    query = ServiceClient("query", registry, timeout_s=QUERY_TIMEOUT_S, breaker=CircuitBreaker("query"))
    document = ServiceClient("document", registry, timeout_s=DOCUMENT_TIMEOUT_S, breaker=CircuitBreaker("document"))
    user = ServiceClient("user", registry, timeout_s=USER_TIMEOUT_S, attempts=1, breaker=CircuitBreaker("user"))
    keys = KeyStore(settings.keys_file)
    usage = UsageLedger(user)
    plans = Plans(keys, user, registry)
    limiter = RequestLimiter(settings.redis_url)
    probes = HealthProbes(registry)
    authenticator = Authenticator(keys, secret=settings.jwt_secret, token_ttl_s=settings.jwt_ttl_s, on_failure=usage.count_auth_failure)
    endpoints = Endpoints(
        query=query,
        document=document,
        authenticator=authenticator,
        plans=plans,
        limiter=limiter,
        usage=usage,
        shedder=Shedder(registry),
        probes=probes,
        version=config.version,
    )

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await registry.start()
        reporter = asyncio.create_task(keep_running(usage.report_forever), name="usage")
        try:
            yield
        finally:
            await cancel_all([reporter])
            await usage.report()
            for part in (plans, limiter, probes, query, document, user):
                await part.close()
            await registry.stop()

    async def routes_known() -> str | None:
        missing = [service for service in ("query", "document") if not registry.instances(service)]
        return f"not registered: {', '.join(missing)}" if missing else None

    return create_app(config, _routes(endpoints), checks={"routes": routes_known}, lifespan=lifespan, middleware=_cors(settings))


def from_env(config: ServiceConfig) -> Starlette:
    """The application with the environment's settings. Raises ConfigError."""
    return create(config, GatewaySettings.from_env(), Registry(config.registry_file, config.service))


def _routes(endpoints: Endpoints) -> list[Route]:
    return [
        Route("/api/ask", endpoints.ask, methods=["POST"]),
        Route("/api/search", endpoints.search, methods=["POST"]),
        Route("/api/documents", endpoints.ingest, methods=["POST"]),
        Route("/api/documents/{doc_id}", endpoints.document_status),
        Route("/api/auth/token", endpoints.issue_token, methods=["POST"]),
        Route("/api/usage", endpoints.own_usage),
        Route("/api/health", endpoints.health),
        Route("/api/health/detailed", endpoints.health_detailed),
        Route("/api/health/llm", endpoints.health_llm),
        Route("/api/health/embeddings", endpoints.health_embeddings),
    ]


def _cors(settings: GatewaySettings) -> list[Middleware]:
    if not settings.cors_origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type", "traceparent", "x-request-id"],
            expose_headers=["retry-after", "x-request-id"],
        )
    ]
