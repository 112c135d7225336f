"""In-process cache: least recently used out first, entries expire, hits are counted, a new epoch empties it."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

from cachetools import TTLCache

from mocks.rag.common.metrics import CACHE_REQUESTS
from mocks.rag.common.registry import Registry

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class LruCache(Generic[Key, Value]):
    """TTL LRU under the name `name` in `rag_cache_requests_total{tier="memory"}`; emptied when `cache_epoch` grows."""

    def __init__(self, name: str, *, max_entries: int, ttl_s: float, registry: Registry | None = None) -> None:
        self._entries: TTLCache[Key, Value] = TTLCache(max_entries, ttl_s)
        self._hit = CACHE_REQUESTS.labels(name, "memory", "hit")
        self._miss = CACHE_REQUESTS.labels(name, "memory", "miss")
        if registry is not None:
            self._follow(registry)

    def get(self, key: Key) -> Value | None:
        """The entry, or None; counts a hit or a miss."""
        value = self._entries.get(key)
        (self._miss if value is None else self._hit).inc()
        return value

    def put(self, key: Key, value: Value) -> None:
        """Store `value` for the time to live, putting the least recently used entry out where there is no room."""
        self._entries[key] = value

    def clear(self) -> None:
        """Forget all entries."""
        self._entries.clear()

    def _follow(self, registry: Registry) -> None:
        epoch = registry.setting("cache_epoch", 0)

        def changed() -> None:
            nonlocal epoch
            latest = registry.setting("cache_epoch", 0)
            if latest > epoch:
                self.clear()
            epoch = latest

        registry.on_change(changed)
