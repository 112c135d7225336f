"""What the services that call the LLM providers have in common: they are ready while discovery lists one, and follow it while they run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from starlette.applications import Starlette
from starlette.routing import BaseRoute

from mocks.rag.common.app import create_app
from mocks.rag.common.config import ServiceConfig
from mocks.rag.common.registry import PROVIDERS, Registry


class Closable(Protocol):
    """What holds connections."""

    async def close(self) -> None:
        """Close them."""


def provider_app(config: ServiceConfig, routes: Sequence[BaseRoute], registry: Registry, clients: Sequence[Closable]) -> Starlette:
    """The application of a service that asks the providers through `clients`, which it closes at its end."""

    async def listed() -> str | None:
        return None if any(map(registry.instances, PROVIDERS)) else f"not in the registry: {' or '.join(PROVIDERS)}"

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await registry.start()
        try:
            yield
        finally:
            for client in clients:
                await client.close()
            await registry.stop()

    return create_app(config, routes, checks={"registry": listed}, lifespan=lifespan)
