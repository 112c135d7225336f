"""The service: routes, wiring, start and stop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mocks.rag.common.app import create_app, json_object
from mocks.rag.common.attention import event_stream, while_connected
from mocks.rag.common.config import ServiceConfig
from mocks.rag.common.registry import Registry
from mocks.rag.query.answering import Answering
from mocks.rag.query.requests import Ask, SearchFor
from mocks.rag.query.sessions import Sessions
from mocks.rag.query.upstream import Upstream

BODY_BYTES_MAX = 64 * 1024
_CALLEES = ("embedding", "retrieval", "generation")


def build(config: ServiceConfig) -> Starlette:
    """The application."""
    registry = Registry(config.registry_file, config.service)
    upstream = Upstream(registry)
    answering = Answering(upstream, Sessions(registry), config.version)

    async def ask(request: Request) -> Response:
        asked = Ask.from_body(await json_object(request, max_bytes=BODY_BYTES_MAX))
        if not asked.stream:
            return JSONResponse(await while_connected(request.receive, answering.answer(asked)))
        return await event_stream(request, answering.stream(asked))

    async def search(request: Request) -> Response:
        asked = SearchFor.from_body(await json_object(request, max_bytes=BODY_BYTES_MAX))
        return JSONResponse(await while_connected(request.receive, answering.search(asked)))

    async def listed() -> str | None:
        missing = [callee for callee in _CALLEES if not registry.instances(callee)]
        return f"not in the registry: {', '.join(missing)}" if missing else None

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await registry.start()
        try:
            yield
        finally:
            await upstream.close()
            await registry.stop()

    routes = [Route("/ask", ask, methods=["POST"]), Route("/search", search, methods=["POST"])]
    return create_app(config, routes, checks={"registry": listed}, lifespan=lifespan)
