"""Waiting for a moment or for the client to go, whichever comes first."""

import asyncio

from mocks.llm.asgi import Receive


class Pacer:
    """Paces one answer by an absolute schedule, and stops it when the client hangs up.

    Waiting until given moments, never for given spans, keeps a stream's mean pace exact however late single wake-ups are.
    Use as an async context manager around the sending.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._watch: asyncio.Task[None] | None = None
        self.disconnected = False

    async def __aenter__(self) -> "Pacer":
        self._watch = asyncio.create_task(self._watch_client())
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._watch is not None:
            self._watch.cancel()

    def now(self) -> float:
        """The event loop's time, seconds; the clock of `until`."""
        return self._loop.time()

    async def until(self, moment_s: float) -> bool:
        """Wait until `moment_s` (at once if it has passed); False where the client has gone."""
        if self.disconnected:
            return False
        if moment_s > self._loop.time():
            waiter: asyncio.Future[None] = self._loop.create_future()
            timer = self._loop.call_at(moment_s, _wake, waiter)
            self._waiter = waiter
            try:
                await waiter
            finally:
                timer.cancel()
                self._waiter = None
        return not self.disconnected

    async def _watch_client(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.disconnected = True
        if self._waiter is not None:
            _wake(self._waiter)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
