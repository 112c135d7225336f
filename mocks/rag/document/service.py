"""The service: routes, wiring, start and stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mocks.rag.common.app import create_app, json_object
from mocks.rag.common.checks import at_most_every
from mocks.rag.common.client import ServiceClient
from mocks.rag.common.config import ServiceConfig
from mocks.rag.common.context import current
from mocks.rag.common.db import Pool, PoolLimits
from mocks.rag.common.errors import ApiError
from mocks.rag.common.redis_client import redis_client
from mocks.rag.common.registry import Registry
from mocks.rag.common.tasks import cancel_all, keep_running
from mocks.rag.document.embedding import Embedder
from mocks.rag.document.indexer import Indexer, IndexerLimits
from mocks.rag.document.intake import Intake
from mocks.rag.document.spool import Spool
from mocks.rag.document.storable import storable
from mocks.rag.document.store import DocumentStore
from mocks.rag.document.stream import IngestStream
from mocks.rag.document.uploads import BODY_BYTES_MAX, Upload
from mocks.rag.vectorstore.base import VectorStoreName
from mocks.rag.vectorstore.choice import open_store

COMMAND_TIMEOUT_S = 0.5
READER_TIMEOUT_S = 3.0
"""Longer than the subscriber's blocking reads."""
EMBEDDING_TIMEOUT_S = 10.0
VECTOR_TIMEOUT_S = 3.0
PARSERS_MAX = 2
POOL_LIMITS = PoolLimits(min_size=1, max_size=6, wait_s=2.0, block_s=5.0)


@dataclass(frozen=True)
class Backends:
    """What the service stands on."""

    database_url: str
    redis_url: str
    spool_folder: Path
    vector_store: VectorStoreName = "pgvector"


def build(config: ServiceConfig, backends: Backends, limits: IndexerLimits | None = None) -> Starlette:
    """The application, with the subscriber inside."""
    registry = Registry(config.registry_file, config.service)
    pool = Pool(backends.database_url, limits=POOL_LIMITS, registry=registry)
    commands = redis_client(backends.redis_url, timeout_s=COMMAND_TIMEOUT_S)
    reader = redis_client(backends.redis_url, timeout_s=READER_TIMEOUT_S)
    embedding = ServiceClient("embedding", registry, timeout_s=EMBEDDING_TIMEOUT_S, attempts=2)
    stream = IngestStream(commands, reader, consumer=config.instance)
    store = DocumentStore(pool)
    vectors = open_store(backends.vector_store, pool, registry, timeout_s=VECTOR_TIMEOUT_S)
    intake = Intake(stream, Spool(backends.spool_folder), store)
    indexer = Indexer(stream, vectors, store, Embedder(embedding).embed, limits)
    parsing = asyncio.Semaphore(PARSERS_MAX)

    async def upload(request: Request) -> Response:
        body = Upload.from_body(await json_object(request, max_bytes=BODY_BYTES_MAX))
        async with parsing:
            text = await asyncio.to_thread(body.to_text)
        status = await intake.accept(body.doc_id, body.title, text, current().request_id)
        return JSONResponse({"doc_id": body.doc_id, "status": status}, 202)

    async def state(request: Request) -> Response:
        doc_id = request.path_params["doc_id"]
        found = await intake.state(doc_id) if doc_id == storable(doc_id) else None
        if found is None:
            raise ApiError(404, "not_found", f"no document {doc_id!r}")
        return JSONResponse({"doc_id": found.doc_id, "status": found.status, "chunks": found.chunks})

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await registry.start()
        await pool.open()
        background = (indexer.run, intake.redrive, intake.reconcile, intake.watch_lengths)
        tasks = [asyncio.create_task(keep_running(work)) for work in background]
        try:
            yield
        finally:
            await cancel_all(tasks)
            await embedding.close()
            await vectors.close()
            await commands.aclose()
            await reader.aclose()
            await pool.close()
            await registry.stop()

    routes = [Route("/documents", upload, methods=["POST"]), Route("/documents/{doc_id}", state)]
    checks = {name: at_most_every(check) for name, check in {"postgres": pool.check, **vectors.checks}.items()}
    return create_app(config, routes, checks=checks, lifespan=lifespan)
