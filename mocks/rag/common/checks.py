"""Readiness checks that cost little however often they are asked."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

FRESH_S = 1.0

Check = Callable[[], Awaitable[str | None]]
"""A readiness check: None when fine, else the reason."""


def at_most_every(check: Check, every_s: float = FRESH_S, clock: Callable[[], float] = time.monotonic) -> Check:
    """`check`, performed at most once in `every_s`; in between its last answer is repeated. One that raises is not remembered."""
    answered_at_s = -every_s
    answer: str | None = None

    async def cached() -> str | None:
        nonlocal answered_at_s, answer
        if clock() - answered_at_s >= every_s:
            answer = await check()
            answered_at_s = clock()
        return answer

    return cached
