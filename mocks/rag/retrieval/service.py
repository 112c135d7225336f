"""The service: routes, wiring, start and stop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mocks.rag.common.app import create_app, json_object
from mocks.rag.common.checks import at_most_every
from mocks.rag.common.config import ServiceConfig
from mocks.rag.common.db import Connection, Pool, PoolLimits
from mocks.rag.common.redis_client import redis_client
from mocks.rag.common.registry import Registry
from mocks.rag.retrieval.cache import REDIS_TIMEOUT_S, ResultCache
from mocks.rag.retrieval.retrieving import Retrieving, Wanted
from mocks.rag.vectorstore.base import VectorStoreName
from mocks.rag.vectorstore.choice import open_store
from mocks.rag.vectorstore.pgvector import EF_SEARCH

BODY_BYTES_MAX = 256 * 1024
STATEMENT_TIMEOUT_MS = 1_500
VECTOR_TIMEOUT_S = 1.0
"""A search takes milliseconds; with this limit a search by words after it still answers within the caller's patience of 4 s."""
POOL_LIMITS = PoolLimits(min_size=2, max_size=8, wait_s=2.0, block_s=2.0)


def build(config: ServiceConfig, database_url: str, redis_url: str, vector_store: VectorStoreName = "pgvector") -> Starlette:
    """The application."""
    registry = Registry(config.registry_file, config.service)
    pool = Pool(database_url, limits=POOL_LIMITS, registry=registry, configure=_configure)
    redis = redis_client(redis_url, timeout_s=REDIS_TIMEOUT_S)
    store = open_store(vector_store, pool, registry, timeout_s=VECTOR_TIMEOUT_S)
    retrieving = Retrieving(store, ResultCache(redis, registry))

    async def retrieve(request: Request) -> Response:
        wanted = Wanted.from_body(await json_object(request, max_bytes=BODY_BYTES_MAX))
        return JSONResponse(await retrieving.retrieve(wanted))

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await registry.start()
        await pool.open()
        try:
            yield
        finally:
            await redis.aclose()
            await store.close()
            await pool.close()
            await registry.stop()

    checks = {name: at_most_every(check) for name, check in {"postgres": pool.check, **store.checks}.items()}
    return create_app(config, [Route("/retrieve", retrieve, methods=["POST"])], checks=checks, lifespan=lifespan)


async def _configure(connection: Connection) -> None:
    """A corpus of a few hundred chunks would be scanned; going through the indexes always keeps the plan the same at every size."""
    settings = {"enable_seqscan": "off", "hnsw.ef_search": EF_SEARCH, "statement_timeout": STATEMENT_TIMEOUT_MS}
    await connection.execute("; ".join(f"SET {name} = {value}" for name, value in settings.items()).encode())
