"""What each client has asked for: counters for `/api/usage`, reported to the user service in batches."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from time import monotonic

from prometheus_client import Gauge

from mocks.rag.common.client import ServiceClient
from mocks.rag.common.errors import UpstreamError
from mocks.rag.common.keys import ApiKey

REPORT_EVERY_S = 5.0
ACTIVE_S = 300.0
ACTIVE_USERS = Gauge("rag_active_users", "Users who have asked in the last five minutes")


@dataclass
class Counters:
    """Requests since the start of this process; `total` = succeeded + failed + limited."""

    succeeded: int = 0
    failed: int = 0
    limited: int = 0

    @property
    def total(self) -> int:
        """All requests."""
        return self.succeeded + self.failed + self.limited

    def as_dict(self) -> dict[str, int]:
        """As on the wire."""
        return {"total": self.total, **asdict(self)}

    def plus(self, other: Counters) -> Counters:
        """The sums."""
        return Counters(self.succeeded + other.succeeded, self.failed + other.failed, self.limited + other.limited)


class UsageLedger:
    """Counts by key, and hands the counts on.

    A report that fails is kept for the next round: the memory it takes is bounded by the number of keys.
    """

    def __init__(self, user: ServiceClient, now_s: Callable[[], float] = monotonic) -> None:
        self._user = user
        self._now_s = now_s
        self._asked_s: dict[str, float] = {}
        ACTIVE_USERS.set_function(self.active)
        self._since_start: defaultdict[str, Counters] = defaultdict(Counters)
        self._unreported: defaultdict[str, Counters] = defaultdict(Counters)
        self.auth_failed = 0

    def count(self, key: ApiKey, *, status: int) -> None:
        """One request ended with this status: 429 is limited, 5xx failed, anything else was served."""
        self._asked_s[key.id] = self._now_s()
        for counters in (self._since_start[key.id], self._unreported[key.id]):
            if status == 429:
                counters.limited += 1
            elif status >= 500:
                counters.failed += 1
            else:
                counters.succeeded += 1

    def active(self) -> float:
        """Keys that were used in the last five minutes."""
        since_s = self._now_s() - ACTIVE_S
        return float(sum(at_s >= since_s for at_s in list(self._asked_s.values())))

    def count_auth_failure(self) -> None:
        """One request was refused for its credentials."""
        self.auth_failed += 1

    def of(self, key: ApiKey) -> Counters:
        """The key's counters."""
        return self._since_start[key.id]

    def totals(self) -> dict[str, int]:
        """All keys together, and the refused."""
        everyone = Counters()
        for counters in self._since_start.values():
            everyone = everyone.plus(counters)
        return {**everyone.as_dict(), "auth_failed": self.auth_failed}

    async def report_forever(self) -> None:
        """Report every REPORT_EVERY_S until cancelled."""
        while True:
            await asyncio.sleep(REPORT_EVERY_S)
            await self.report()

    async def report(self) -> None:
        """Send what has not been reported yet; what fails, or is cut short, stays unreported."""
        for key_id in list(self._unreported):
            counters = self._unreported.pop(key_id)
            delivered = False
            try:
                delivered = await self._send(key_id, counters)
            finally:
                if not delivered:
                    self._unreported[key_id] = self._unreported[key_id].plus(counters)

    async def _send(self, key_id: str, counters: Counters) -> bool:
        try:
            response = await self._user.request("POST", f"/keys/{key_id}/usage", json=asdict(counters))
        except UpstreamError:
            return False
        return response.is_success or response.status_code == 404  # a key that was withdrawn meanwhile is nobody's usage
