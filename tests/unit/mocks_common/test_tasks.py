"""Background work that must not end unseen."""

from __future__ import annotations

import asyncio

from structlog.testing import capture_logs

from mocks.rag.common.tasks import cancel_all, keep_running


def test_work_that_raises_is_logged_and_begun_again_until_it_is_cancelled() -> None:
    begun = 0
    going = asyncio.Event()

    async def work() -> None:
        nonlocal begun
        begun += 1
        if begun < 3:
            raise OSError("disk gone")
        going.set()
        await asyncio.Event().wait()

    async def scenario() -> None:
        task = asyncio.create_task(keep_running(work, restart_s=0.0))
        async with asyncio.timeout(5):
            await going.wait()
        await cancel_all([task])
        assert task.cancelled()

    with capture_logs() as logs:
        asyncio.run(scenario())
    assert begun == 3
    assert [line["work"].rpartition(".")[2] for line in logs] == ["work", "work"]
