"""Routes of the user service.

`GET /keys/{key_id}` → `{id, client, roles, plan, quota: {burst_per_s, per_minute, per_hour, used_this_hour}}`; `used_this_hour` is null
while the database is away, for the gateway needs the limits more than the count.
`POST /keys/{key_id}/usage` with `{succeeded, failed, limited}` → the hour's `{total, succeeded, failed, limited}`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mocks.rag.common.app import ApiError, ServiceConfig, UpstreamError, create_app, json_object
from mocks.rag.common.config import required
from mocks.rag.common.db import Pool, PoolLimits
from mocks.rag.common.keys import ApiKey, KeyStore
from mocks.rag.common.registry import Registry
from mocks.rag.user.usage import Usage, UsageStore

POOL_LIMITS = PoolLimits(min_size=1, max_size=4, wait_s=1.0, block_s=2.0)


class UserService:
    """Answers about keys."""

    def __init__(self, keys: KeyStore, usage: UsageStore) -> None:
        self._keys = keys
        self._usage = usage

    async def describe(self, request: Request) -> Response:
        """GET /keys/{key_id}."""
        key = self._find(request)
        plan = self._keys.plan(key.plan)
        assert plan is not None  # the key store refuses keys of unknown plans
        quota: dict[str, int | None] = {**plan.as_dict(), "used_this_hour": await self._used(key)}
        return JSONResponse({"id": key.id, "client": key.client, "roles": sorted(key.roles), "plan": key.plan, "quota": quota})

    async def count(self, request: Request) -> Response:
        """POST /keys/{key_id}/usage."""
        key = self._find(request)
        body = await json_object(request)
        counts = {name: _count(body, name) for name in ("succeeded", "failed", "limited")}
        sums = await self._usage.add(key.id, Usage(total=sum(counts.values()), **counts))
        return JSONResponse(sums.as_dict())

    def _find(self, request: Request) -> ApiKey:
        key = self._keys.find_by_id(request.path_params["key_id"])
        if key is None:
            raise ApiError(404, "unknown_key", "there is no such key")
        return key

    async def _used(self, key: ApiKey) -> int | None:
        try:
            return (await self._usage.this_hour(key.id)).total
        except UpstreamError:
            return None


def create(config: ServiceConfig, *, keys: KeyStore, database_url: str, registry: Registry) -> Starlette:
    """The application of the user service."""
    pool = Pool(database_url, limits=POOL_LIMITS, registry=registry)
    service = UserService(keys, UsageStore(pool))

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await registry.start()
        await pool.open()
        try:
            yield
        finally:
            await pool.close()
            await registry.stop()

    routes = [
        Route("/keys/{key_id}", service.describe),
        Route("/keys/{key_id}/usage", service.count, methods=["POST"]),
    ]
    return create_app(config, routes, checks={"postgres": pool.check}, lifespan=lifespan)


def from_env(config: ServiceConfig) -> Starlette:
    """The application with the environment's settings. Raises ConfigError."""
    return create(
        config,
        keys=KeyStore(Path(required("KEYS_FILE"))),
        database_url=required("DATABASE_URL"),
        registry=Registry(config.registry_file),
    )


def _count(body: dict[str, Any], name: str) -> int:
    value = body.get(name, 0)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ApiError(400, "invalid_request", f"{name} must be a number of requests, 0 or more")
    return value
