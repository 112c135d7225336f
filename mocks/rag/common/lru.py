"""In-process cache: least recently used out first, entries expire, hits are counted, a new epoch empties it."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from cachetools import TTLCache

from mocks.rag.common.metrics import CACHE_REQUESTS
from mocks.rag.common.registry import Registry

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


@dataclass(frozen=True)
class CacheStatistics:
    """Look-ups since the start; `size` entries now."""

    hits: int
    misses: int
    size: int


class LruCache(Generic[Key, Value]):
    """TTL LRU under the name `name` in `rag_cache_requests_total{tier="memory"}`; emptied when `cache_epoch` grows."""

    def __init__(self, name: str, *, max_entries: int, ttl_s: float, registry: Registry | None = None) -> None:
        self._entries: TTLCache[Key, Value] = TTLCache(max_entries, ttl_s)
        self._hit = CACHE_REQUESTS.labels(name, "memory", "hit")
        self._miss = CACHE_REQUESTS.labels(name, "memory", "miss")
        self._hits = self._misses = 0
        if registry is not None:
            self._follow(registry)

    def get(self, key: Key) -> Value | None:
        """The entry, or None; counts a hit or a miss."""
        value = self._entries.get(key)
        if value is None:
            self._misses += 1
            self._miss.inc()
        else:
            self._hits += 1
            self._hit.inc()
        return value

    def put(self, key: Key, value: Value) -> None:
        """Store `value` for the time to live, putting the least recently used entry out where there is no room."""
        self._entries[key] = value

    def drop(self, key: Key) -> None:
        """Forget one entry, if it is there."""
        self._entries.pop(key, None)

    def clear(self) -> None:
        """Forget all entries."""
        self._entries.clear()

    @property
    def statistics(self) -> CacheStatistics:
        """Hits and misses since the start, and the present size."""
        return CacheStatistics(self._hits, self._misses, len(self._entries))

    def _follow(self, registry: Registry) -> None:
        epoch = registry.setting("cache_epoch", 0)

        def changed() -> None:
            nonlocal epoch
            latest = registry.setting("cache_epoch", 0)
            if latest > epoch:
                self.clear()
            epoch = latest

        registry.on_change(changed)
