"""Results of earlier searches: in this process (LRU), then in Redis.

Entries are served for `REDIS_TTL_S`; a copy stays in this process for `STALE_TTL_S` and is served only while there is nothing to search in.
After a failure Redis is left alone for `HOLD_OFF_S`: a dead cache then costs one short timeout a second, not one a request.
"""

from __future__ import annotations

import hashlib
import json
import time
from array import array
from collections.abc import Callable, Sequence

from redis.asyncio import Redis
from redis.exceptions import RedisError

from mocks.rag.common.log import get_logger
from mocks.rag.common.lru import LruCache
from mocks.rag.common.metrics import CACHE_REQUESTS
from mocks.rag.common.redis_client import cache_call
from mocks.rag.common.registry import Registry
from mocks.rag.vectorstore.base import Result

NAME = "retrieval"
REDIS_TTL_S = 60
MEMORY_TTL_S = 20.0
"""Short against the tier below, for what comes from there may be as old as REDIS_TTL_S already."""
MEMORY_ENTRIES = 2_000
STALE_TTL_S = 900.0
REDIS_TIMEOUT_S = 0.1
HOLD_OFF_S = 1.0


def vector_key(embedding: Sequence[float], top_k: int) -> str:
    """Of the numbers as float32, which is what the database compares."""
    return _key(array("f", embedding).tobytes(), top_k)


def text_key(text: str, top_k: int) -> str:
    """Of the words, whatever the white space between them."""
    return _key(b"text:" + " ".join(text.split()).encode(), top_k)


def _key(content: bytes, top_k: int) -> str:
    return f"{hashlib.blake2b(content, digest_size=16).hexdigest()}:{top_k}"


class ResultCache:
    """Never raises because of Redis: without it every look-up below the memory tier is a miss.

    Results handed out are shared: do not change them.
    """

    def __init__(self, redis: Redis, registry: Registry, clock: Callable[[], float] = time.monotonic) -> None:
        self._redis = redis
        self._registry = registry
        self._clock = clock
        self._held_off_until_s = 0.0
        self._memory: LruCache[str, list[Result]] = LruCache(NAME, max_entries=MEMORY_ENTRIES, ttl_s=MEMORY_TTL_S, registry=registry)
        self._stale: LruCache[str, list[Result]] = LruCache(
            f"{NAME}_stale", max_entries=MEMORY_ENTRIES, ttl_s=STALE_TTL_S, registry=registry
        )
        self._results = {result: CACHE_REQUESTS.labels(NAME, "redis", result) for result in ("hit", "miss", "error")}
        self._log = get_logger("cache")

    async def get(self, key: str) -> list[Result] | None:
        """Results young enough to be served as they are."""
        results = self._memory.get(key)
        if results is None:
            results = await self._from_redis(key)
            if results is not None:
                self._remember(key, results)
        return results

    async def put(self, key: str, results: list[Result]) -> None:
        """Keeps results in both tiers."""
        self._remember(key, results)
        if self._held_off:
            return
        try:
            with cache_call():
                await self._redis.set(self._redis_key(key), json.dumps(results), ex=REDIS_TTL_S)
        except (RedisError, OSError) as error:
            self._failed(error)

    def get_stale(self, key: str) -> list[Result] | None:
        """Results of any age that are still known: better than an error, worse than an answer."""
        return self._stale.get(key)

    async def _from_redis(self, key: str) -> list[Result] | None:
        if self._held_off:
            return None
        try:
            with cache_call():
                raw = await self._redis.get(self._redis_key(key))
            results: list[Result] | None = None if raw is None else json.loads(raw)
        except (RedisError, OSError, ValueError) as error:
            self._failed(error)
            return None
        self._results["miss" if results is None else "hit"].inc()
        return results

    def _remember(self, key: str, results: list[Result]) -> None:
        self._memory.put(key, results)
        self._stale.put(key, results)

    @property
    def _held_off(self) -> bool:
        return self._clock() < self._held_off_until_s

    def _failed(self, error: Exception) -> None:
        self._results["error"].inc()
        self._held_off_until_s = self._clock() + HOLD_OFF_S
        self._log.warning("cache failed, going on without it", error=f"{type(error).__name__}: {error}", hold_off_s=HOLD_OFF_S)

    def _redis_key(self, key: str) -> str:
        """A new epoch is a new name space: entries of the old one are out of reach at once and expire by themselves."""
        return f"{NAME}:{self._registry.setting('cache_epoch', 0)}:{key}"
