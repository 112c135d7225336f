"""Small common parts: cached readiness checks, the cache client, ending tasks."""

from __future__ import annotations

import asyncio

import pytest
from redis.exceptions import RedisError

from mocks.rag.common.checks import at_most_every
from mocks.rag.common.metrics import CLIENT_REQUESTS
from mocks.rag.common.redis_client import cache_call, redis_client
from mocks.rag.common.tasks import cancel_all


def test_an_answer_is_repeated_until_it_is_old_and_an_exception_never() -> None:
    now_s = 50.0
    answers: list[str | Exception | None] = [None, "down", OSError("broken"), None]
    asked = 0

    async def check() -> str | None:
        nonlocal asked
        asked += 1
        answer = answers[asked - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def scenario() -> list[str | None]:
        nonlocal now_s
        cached = at_most_every(check, 1.0, lambda: now_s)
        given = [await cached(), await cached()]
        now_s += 1.0
        given += [await cached(), await cached()]
        now_s += 1.0
        with pytest.raises(OSError, match="broken"):
            await cached()
        return [*given, await cached()]

    assert (asyncio.run(scenario()), asked) == ([None, None, "down", "down", None], 4)


def test_a_silent_cache_is_a_timeout_and_a_closed_port_a_connect_error() -> None:
    async def scenario() -> tuple[float, str]:
        server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        loop = asyncio.get_running_loop()
        async with redis_client(f"redis://127.0.0.1:{port}/0", timeout_s=0.1) as client:
            started_s = loop.time()
            with pytest.raises(RedisError), cache_call():
                await client.get("x")
            took_s = loop.time() - started_s
        server.close()
        await server.wait_closed()
        async with redis_client(f"redis://127.0.0.1:{port}/0", timeout_s=0.1) as client:
            with pytest.raises(RedisError) as refused, cache_call():
                await client.get("x")
        return took_s, type(refused.value).__name__

    def counted(outcome: str) -> float:
        return float(CLIENT_REQUESTS.labels("cache", outcome)._value.get())

    before = (counted("timeout"), counted("connect_error"))
    took_s, refusal = asyncio.run(scenario())
    assert took_s < 20.0
    assert refusal == "ConnectionError"
    assert (counted("timeout"), counted("connect_error")) == (before[0] + 1, before[1] + 1)


def test_a_task_that_swallows_a_cancellation_is_cancelled_again() -> None:
    swallowed = 0

    async def stubborn() -> None:
        nonlocal swallowed
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                swallowed += 1
                if swallowed == 2:
                    raise

    async def scenario() -> bool:
        task = asyncio.create_task(stubborn())
        await asyncio.sleep(0)
        async with asyncio.timeout(10):
            await cancel_all([task, asyncio.create_task(asyncio.sleep(0))])
        return task.cancelled()

    assert (asyncio.run(scenario()), swallowed) == (True, 2)
