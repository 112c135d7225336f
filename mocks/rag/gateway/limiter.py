"""Rate limits per client and route: a burst per second, per minute, per hour.

Counted in the cache, so that all gateways share the counts. While the cache is away each gateway counts for itself, and one task asks
the cache every PROBE_S whether it is back: only the requests that find it gone wait for it, at most CACHE_TIMEOUT_S.
"""

from __future__ import annotations

import asyncio
import contextvars
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import redis
from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.storage.redis.redispy import RedispyBridge
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from mocks.rag.common.keys import Plan
from mocks.rag.common.log import get_logger
from mocks.rag.common.metrics import RATE_LIMITED
from mocks.rag.common.redis_client import cache_call
from mocks.rag.common.tasks import cancel_all

CACHE_TIMEOUT_S = 0.2
PROBE_S = 1.0
MAX_CONNECTIONS = 64

_CACHE_ERRORS = (redis.RedisError, TimeoutError, OSError)


@dataclass(frozen=True)
class Refusal:
    """Which limit was met, and when it has room again."""

    reason: str
    retry_after_s: int


class RequestLimiter:
    """Counts requests against a plan."""

    def __init__(self, redis_url: str) -> None:
        storage = RedisStorage(
            "async+" + redis_url,
            implementation="redispy",
            socket_timeout=CACHE_TIMEOUT_S,
            socket_connect_timeout=CACHE_TIMEOUT_S,
            max_connections=MAX_CONNECTIONS,
        )
        bridge = storage.bridge
        assert isinstance(bridge, RedispyBridge)  # by the `implementation` above
        self._client: Redis = bridge.storage
        # Without this the client would retry with pauses of its own and every loss of the cache would cost CACHE_TIMEOUT_S in full.
        self._client.set_retry(Retry(NoBackoff(), 0))
        self._shared = SlidingWindowCounterRateLimiter(storage)
        self._local: SlidingWindowCounterRateLimiter | None = None
        self._probe: asyncio.Task[None] | None = None
        self._log = get_logger("limiter")

    @property
    def counts_in(self) -> Literal["cache", "process"]:
        """Where requests are counted now."""
        return "cache" if self._local is None else "process"

    async def check(self, client: str, route: str, plan: Plan) -> Refusal | None:
        """Count one request; the refusal when a limit of the plan is met."""
        limits = _limits(plan)
        if self._local is None:
            try:
                with cache_call():
                    async with asyncio.timeout(CACHE_TIMEOUT_S):
                        return await _check(self._shared, limits, client, route)
            except _CACHE_ERRORS as error:
                local = self._lose_cache(error)
        else:
            local = self._local
        return await _check(local, limits, client, route)

    async def close(self) -> None:
        """Close connections and end the probe."""
        if self._probe is not None:
            await cancel_all([self._probe])
        await self._client.aclose()

    def _lose_cache(self, error: Exception) -> SlidingWindowCounterRateLimiter:
        if self._local is None:
            self._log.warning("cache away, counting in this process", error=f"{type(error).__name__}: {error}")
            self._local = SlidingWindowCounterRateLimiter(MemoryStorage())
            # An own context: the probe outlives the request that found the cache gone.
            self._probe = asyncio.get_running_loop().create_task(self._await_cache(), context=contextvars.Context())
        return self._local

    async def _await_cache(self) -> None:
        while True:
            await asyncio.sleep(PROBE_S)
            if await self._answers():
                break
        self._local = None
        self._log.warning("cache back, counting there")

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(CACHE_TIMEOUT_S):
                await self._client.ping()
        except _CACHE_ERRORS:
            return False
        return True


def _limits(plan: Plan) -> Sequence[tuple[str, RateLimitItem]]:
    wanted = (
        ("burst", RateLimitItemPerSecond, plan.burst_per_s),
        ("per_minute", RateLimitItemPerMinute, plan.per_minute),
        ("per_hour", RateLimitItemPerHour, plan.per_hour),
    )
    return [(reason, item(amount)) for reason, item, amount in wanted if amount > 0]


async def _check(
    limiter: SlidingWindowCounterRateLimiter, limits: Sequence[tuple[str, RateLimitItem]], client: str, route: str
) -> Refusal | None:
    for reason, limit in limits:
        if not await limiter.hit(limit, client, route):
            RATE_LIMITED.labels(reason).inc()
            window = await limiter.get_window_stats(limit, client, route)
            return Refusal(reason, max(1, math.ceil(window.reset_time - time.time())))
    return None
