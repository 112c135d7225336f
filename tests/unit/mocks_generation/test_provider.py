"""One provider against a scripted server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mocks.rag.common.registry import Registry
from mocks.rag.generation.provider import Provider, ProviderFailureError
from tests.unit.mocks_common.stub_server import Exchange, StubServer, write_registry

TIMEOUT_S = 0.4
ROLE = b'data: {"model":"m","choices":[{"delta":{"role":"assistant"}}]}\n\n'
TOKEN = b'data: {"model":"m","choices":[{"delta":{"content":"x"}}]}\n\n'


def test_bytes_without_a_token_buy_an_attempt_no_time(tmp_path: Path) -> None:
    async def dawdle(exchange: Exchange) -> None:
        """The first byte within the limit, the first token a limit after it."""
        await asyncio.sleep(TIMEOUT_S * 0.75)
        await exchange.start_stream()
        await exchange.chunk(ROLE)
        await asyncio.sleep(TIMEOUT_S * 0.75)
        await exchange.chunk(TOKEN)
        await exchange.chunk(b"")

    async def scenario() -> ProviderFailureError:
        path = tmp_path / "registry.json"
        async with StubServer(dawdle) as server:
            write_registry(path, {"llm-dawdling": [server.url]})
            provider = Provider("llm-dawdling", Registry(path), "m", None, timeout_s=TIMEOUT_S)
            try:
                with pytest.raises(ProviderFailureError) as caught:
                    await anext(provider.stream([]))
            finally:
                await provider.close()
        return caught.value

    failure = asyncio.run(asyncio.wait_for(scenario(), 20))
    assert (failure.outcome, failure.retry) == ("timeout", False)
