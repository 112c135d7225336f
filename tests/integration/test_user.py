"""The user service and the database pool on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import LiteralString

import httpx
import pytest
from prometheus_client import REGISTRY

from mocks.rag.common.app import ServiceConfig
from mocks.rag.common.db import Pool, PoolLimits
from mocks.rag.common.errors import UpstreamError
from mocks.rag.common.keys import KeyStore
from mocks.rag.common.registry import Registry
from mocks.rag.user.service import create
from tests.integration.backends import Postgres, free_port
from tests.unit.mocks_common.stub_server import until, write_registry

CONFIG = ServiceConfig("user", "user-1", "1.0.0", "127.0.0.1", 4000, None, "info")
PLAN = {"burst_per_s": 10, "per_minute": 100, "per_hour": 1000}


@asynccontextmanager
async def user_service(tmp_path: Path, database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    keys = tmp_path / "keys.json"
    entry = {"id": "k1", "sha256": "0" * 64, "client": "load", "roles": ["user"], "plan": "standard"}
    keys.write_text(json.dumps({"keys": [entry], "plans": {"standard": PLAN}}))
    app = create(CONFIG, keys=KeyStore(keys), database_url=database_url, registry=Registry(None))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://user") as client,
    ):
        yield client


def test_describes_keys_and_counts_usage(tmp_path: Path, database_url: str) -> None:
    async def scenario() -> None:
        async with user_service(tmp_path, database_url) as client:
            expected = {"id": "k1", "client": "load", "roles": ["user"], "plan": "standard", "quota": {**PLAN, "used_this_hour": 0}}
            assert (await client.get("/keys/k1")).json() == expected
            first = await client.post("/keys/k1/usage", json={"succeeded": 5, "failed": 2, "limited": 1})
            assert first.json() == {"total": 8, "succeeded": 5, "failed": 2, "limited": 1}
            await asyncio.gather(*(client.post("/keys/k1/usage", json={"succeeded": 1}) for _ in range(10)))
            assert (await client.get("/keys/k1")).json()["quota"]["used_this_hour"] == 18
            assert (await client.get("/ready")).json() == {"ready": True, "checks": {}}

    asyncio.run(scenario())


@pytest.mark.parametrize("count", [-1, "5", True, 1.5])
def test_refuses_nonsense(tmp_path: Path, database_url: str, count: object) -> None:
    async def scenario() -> None:
        async with user_service(tmp_path, database_url) as client:
            answer = await client.post("/keys/k1/usage", json={"failed": count})
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")
            assert (await client.get("/keys/other")).status_code == 404

    asyncio.run(scenario())


def test_without_a_database_limits_are_still_known(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with user_service(tmp_path, f"postgresql://postgres@127.0.0.1:{free_port()}/none") as client:
            described = await client.get("/keys/k1")
            assert (described.status_code, described.json()["quota"]) == (200, {**PLAN, "used_this_hour": None})
            counted = await client.post("/keys/k1/usage", json={"succeeded": 1})
            assert (counted.status_code, counted.json()["error"]["code"]) == (502, "postgres_connect_error")
            ready = await client.get("/ready")
            assert (ready.status_code, list(ready.json()["checks"])) == (503, ["postgres"])

    asyncio.run(scenario())


@asynccontextmanager
async def pool_of(
    url: str, registry: Registry | None = None, *, max_size: int = 8, wait_s: float = 2.0, block_s: float = 5.0
) -> AsyncIterator[Pool]:
    pool = Pool(url, name="test", limits=PoolLimits(max_size=max_size, wait_s=wait_s, block_s=block_s), registry=registry)
    await pool.open()
    try:
        yield pool
    finally:
        await pool.close()


async def backend_pid(pool: Pool) -> int:
    async with pool.connection() as connection:
        cursor = await connection.execute("SELECT pg_backend_pid()")
        row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


def gauge(name: str) -> float | None:
    return REGISTRY.get_sample_value(name, {"pool": "test"})


def test_pool_is_bounded_and_reports_itself(database_url: str) -> None:
    async def scenario() -> None:
        async with pool_of(database_url, max_size=1, wait_s=1.0) as pool, pool.connection():
            assert (gauge("rag_pool_size"), gauge("rag_pool_in_use"), gauge("rag_pool_waiting")) == (1, 1, 0)
            waiter = asyncio.create_task(backend_pid(pool))
            await until(lambda: gauge("rag_pool_waiting") == 1, "one waiting")
            with pytest.raises(UpstreamError) as caught:
                await waiter
            assert caught.value.outcome == "timeout"

    asyncio.run(scenario())


def test_refused_before_the_wait_is_no_timeout() -> None:
    """The pool pauses a second and more between attempts to connect; a shorter wait may see none of them fail."""

    async def scenario() -> None:
        async with pool_of(f"postgresql://postgres@127.0.0.1:{free_port()}/none", wait_s=0.1) as pool:
            outcomes = []
            for _ in range(15):
                with pytest.raises(UpstreamError) as caught:
                    await backend_pid(pool)
                outcomes.append(caught.value.outcome)
            assert set(outcomes[outcomes.index("connect_error") :]) == {"connect_error"}
            assert outcomes.index("connect_error") < 10

    asyncio.run(scenario())


def test_pool_reopens_with_a_new_epoch(database_url: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        path = tmp_path / "registry.json"
        write_registry(path, {}, pool_epoch=0)
        registry = Registry(path)
        async with pool_of(database_url, registry, max_size=1) as pool:
            first = await backend_pid(pool)
            assert await backend_pid(pool) == first
            write_registry(path, {}, pool_epoch=1, revision=2)
            registry.reload()
            await asyncio.sleep(0)  # the reopening starts on the loop
            assert await backend_pid(pool) != first

    asyncio.run(scenario())


async def is_back(pool: Pool) -> bool:
    try:
        return await backend_pid(pool) > 0
    except UpstreamError:
        return False


def test_pool_outlives_a_restart_of_the_database(postgres: Postgres, database_url: str) -> None:
    async def scenario() -> None:
        async with pool_of(database_url) as pool:
            await backend_pid(pool)
            await asyncio.to_thread(postgres.kill)
            with pytest.raises(UpstreamError) as caught:
                await backend_pid(pool)
            assert caught.value.outcome == "connect_error"
            await asyncio.to_thread(postgres.start)
            async with asyncio.timeout(60):
                while not await is_back(pool):  # noqa: ASYNC110 - the longer it was away, the longer the pool pauses between attempts
                    await asyncio.sleep(0.05)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("statement", "outcome"),
    [
        ("SET statement_timeout = 20; SELECT pg_sleep(5)", "timeout"),
        ("SELECT pg_terminate_backend(pg_backend_pid())", "connect_error"),
        ("DO $$ BEGIN RAISE SQLSTATE '53100'; END $$", "error"),  # disk full
        ("BEGIN READ ONLY; CREATE TABLE nothing ()", "error"),
    ],
)
def test_what_the_database_says_is_told_apart_from_its_absence(database_url: str, statement: LiteralString, outcome: str) -> None:
    async def scenario() -> None:
        async with pool_of(database_url, max_size=1) as pool:
            with pytest.raises(UpstreamError) as caught:
                async with pool.connection() as connection:
                    await connection.execute(statement)
            assert caught.value.outcome == outcome
            assert await backend_pid(pool) > 0

    asyncio.run(scenario())


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_frozen_server_costs_no_more_than_the_time_limit(database_url: str) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        async with pool_of(database_url, max_size=1, block_s=0.3) as pool:
            pid = await backend_pid(pool)
            with pytest.raises(UpstreamError, match=r"no answer within 0\.3 s") as caught:
                async with pool.connection() as connection:
                    with frozen(pid):
                        started = loop.time()
                        await connection.execute("SELECT 1")
            assert caught.value.outcome == "timeout"
            assert loop.time() - started < 4.0

    asyncio.run(scenario())


def test_frozen_connection_is_replaced_at_hand_out(database_url: str) -> None:
    async def scenario() -> None:
        async with pool_of(database_url, max_size=1, wait_s=20.0) as pool:
            pid = await backend_pid(pool)
            with frozen(pid):
                assert await backend_pid(pool) != pid

    asyncio.run(scenario())
