"""Keeping background work going, and ending it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from mocks.rag.common.log import get_logger

RESTART_S = 1.0
CANCEL_AGAIN_S = 0.1


async def keep_running(work: Callable[[], Awaitable[None]], *, restart_s: float = RESTART_S) -> None:
    """`work`, begun again where it raises: a task that ends unseen would leave the service up and that part of it dead."""
    log = get_logger("tasks")
    while True:
        try:
            return await work()
        except Exception:  # whatever it was, it is logged, and the work must go on
            log.error("background work failed, beginning it again", work=getattr(work, "__qualname__", repr(work)), exc_info=True)
            await asyncio.sleep(restart_s)


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
