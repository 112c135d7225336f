"""Usage that is reported at least once."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import httpx

from mocks.rag.common.client import ServiceClient
from mocks.rag.common.keys import ApiKey
from mocks.rag.common.tasks import cancel_all
from mocks.rag.gateway.usage import ACTIVE_USERS, UsageLedger

ALICE = ApiKey("alice", "a", frozenset(), "plan")
BOB = ApiKey("bob", "b", frozenset(), "plan")


class SlowUserService:
    """Answers once `open` is set; `reported` is what it has been told and has answered."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.asked = asyncio.Event()
        self.reported: list[tuple[str, dict[str, int]]] = []

    async def request(self, _method: str, path: str, *, json: dict[str, Any]) -> httpx.Response:
        self.asked.set()
        await self.open.wait()
        self.reported.append((path, json))
        return httpx.Response(200)


def test_a_report_cut_short_loses_nothing() -> None:
    async def scenario() -> list[tuple[str, dict[str, int]]]:
        service = SlowUserService()
        ledger = UsageLedger(cast(ServiceClient, service))
        ledger.count(ALICE, status=200)
        ledger.count(BOB, status=429)
        reporting = asyncio.create_task(ledger.report())
        await service.asked.wait()
        ledger.count(ALICE, status=502)
        await cancel_all([reporting])
        service.open.set()
        await ledger.report()
        await ledger.report()
        return sorted(service.reported, key=lambda report: report[0])

    assert asyncio.run(scenario()) == [
        ("/keys/alice/usage", {"succeeded": 1, "failed": 1, "limited": 0}),
        ("/keys/bob/usage", {"succeeded": 0, "failed": 0, "limited": 1}),
    ]


def test_users_are_those_who_asked_in_the_last_five_minutes() -> None:
    now = [0.0]
    ledger = UsageLedger(cast(ServiceClient, None), lambda: now[0])
    for at_s, key in ((0.0, ALICE), (100.0, BOB), (250.0, ALICE)):
        now[0] = at_s
        ledger.count(key, status=200)
    assert ACTIVE_USERS.collect()[0].samples[0].value == 2.0
    now[0] = 401.0
    assert ledger.active() == 1.0
