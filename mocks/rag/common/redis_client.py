"""The Redis client as the services use it: short timeouts, no retries of its own, every call counted as `callee="cache"`."""

from __future__ import annotations

from contextlib import AbstractContextManager

import redis
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from mocks.rag.common.outbound import outbound

CALLEE = "cache"


def redis_client(url: str, *, timeout_s: float) -> Redis:
    """A client whose calls end within about `timeout_s`, connecting included; it connects when first used.

    Retries stay off: whoever asks knows better what to do without the cache than to wait for it.
    """
    client: Redis = Redis.from_url(
        url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=Retry(NoBackoff(), 0), protocol=2, health_check_interval=0
    )
    return client


def cache_call() -> AbstractContextManager[None]:
    """Count the block as one call to the cache."""
    return outbound(CALLEE, timeouts=(redis.TimeoutError,), connect_errors=(redis.ConnectionError,))
