"""Ending background tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

CANCEL_AGAIN_S = 0.1


async def cancel_all(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Returns when all have ended; their exceptions are theirs.

    One `cancel` is not enough: `asyncio.wait_for` before Python 3.12, which redis-py sends its commands with, swallows a cancellation
    that arrives just as the awaited work is done, and the task goes on as if nobody had asked.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)
