"""Which limits a key has: what the user service says, else the plan in the gateway's own `KEYS_FILE`.

The user service is never waited for. An answer is used for FRESH_S; after that the request at hand still goes by it, and by the
file where there is none yet, while a new answer is fetched beside it. So the limits fail open to the file's plan.
"""

from __future__ import annotations

import asyncio
import contextvars

from mocks.rag.common.client import ServiceClient
from mocks.rag.common.errors import UpstreamError
from mocks.rag.common.keys import ApiKey, KeyStore, Plan
from mocks.rag.common.log import get_logger
from mocks.rag.common.lru import LruCache
from mocks.rag.common.registry import Registry

FRESH_S = 30.0
RETRY_AFTER_FAILURE_S = 5.0
MAX_KEYS = 4096


class Plans:
    """Looks plans up; see the module."""

    def __init__(self, keys: KeyStore, user: ServiceClient, registry: Registry) -> None:
        self._keys = keys
        self._user = user
        self._known: LruCache[str, Plan] = LruCache("plans", max_entries=MAX_KEYS, ttl_s=FRESH_S * 20, registry=registry)
        self._refresh_at_s: dict[str, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._log = get_logger("plans")

    def of(self, key: ApiKey) -> Plan:
        """The limits that hold for `key` now."""
        now_s = asyncio.get_running_loop().time()
        if now_s >= self._refresh_at_s.get(key.id, 0.0):
            self._refresh_at_s[key.id] = now_s + FRESH_S
            task = asyncio.get_running_loop().create_task(self._refresh(key.id), context=contextvars.Context())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        plan = self._known.get(key.id) or self._keys.plan(key.plan)
        assert plan is not None  # the key store refuses keys of unknown plans
        return plan

    async def close(self) -> None:
        """Give up the look-ups under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _refresh(self, key_id: str) -> None:
        try:
            response = await self._user.request("GET", f"/keys/{key_id}")
            if not response.is_success:
                return self._fail(key_id, f"status {response.status_code}")
            quota = response.json()["quota"]
            self._known.put(key_id, Plan(int(quota["burst_per_s"]), int(quota["per_minute"]), int(quota["per_hour"])))
        except (UpstreamError, ValueError, KeyError, TypeError) as error:
            return self._fail(key_id, str(error))

    def _fail(self, key_id: str, reason: str) -> None:
        self._refresh_at_s[key_id] = asyncio.get_running_loop().time() + RETRY_AFTER_FAILURE_S
        self._log.warning("plan not refreshed, the last known one stays", key_id=key_id, error=reason)
