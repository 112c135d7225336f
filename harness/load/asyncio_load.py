"""The load process for high rates: `python -m harness.load.asyncio_load PLAN.json`. The same schedule, journeys and record as on Locust.

`--worker HOST:PORT` is a worker of the master there, `--owned-worker` one that ends with its standard input.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import uvloop
from prometheus_client import generate_latest

from harness.load import messages as say
from harness.load.child import OWNER_GONE, WARM_CONNECTIONS, WARM_S, HarnessGone, Load, Orders, carry_out, settle
from harness.load.http import UnreachableError
from harness.load.ledger import PING_S
from harness.load.master import Master
from harness.load.open_loop import OpenLoop
from harness.load.streams import StreamBus, Talk, beat
from harness.load.worker_processes import WORKER_TOKEN_VARIABLE

_CONNECT_S = 0.25  # from one attempt to reach the master to the next


async def _carry_out(load: Load) -> None:
    orders = await _stdin()
    if load.plan.workers > 1:
        await _lead(load, orders)
        return
    engine = _engine(load)
    await _warm(load, engine)
    await _answer(load, Orders(engine.begin, engine.stop), engine.stop, orders, engine.run())


async def _lead(load: Load, orders: asyncio.StreamReader) -> None:
    """The master of several workers."""
    bus = StreamBus(load.clock)
    await bus.open(load.plan)
    master = Master(load, bus, lambda: None)
    begun: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def begin(t0_ns: int) -> None:
        if not begun.done():
            begun.set_result(t0_ns)

    def stop() -> None:
        master.stop()
        begin(load.clock.now_ns())

    async def lead() -> None:
        master.begin(await begun)
        while master.at_work():  # noqa: ASYNC110  # looked at, not waited for: silence is what is looked for
            await asyncio.sleep(PING_S)
        master.finish()

    try:
        while master.gathering():  # noqa: ASYNC110  # as above
            await asyncio.sleep(PING_S)
        await _answer(load, Orders(begin, stop), stop, orders, lead())
    finally:
        bus.close()
        master.close()


async def _answer(
    load: Load, heard: Orders, stop: Callable[[], None], orders: asyncio.StreamReader, work: Coroutine[Any, Any, None]
) -> None:
    """Serve the metrics, say that all is ready, and work on the harness's word. Raises HarnessGone where there is no harness any more."""
    loop = asyncio.get_running_loop()
    server = await asyncio.start_server(lambda r, w: _scraped(load, r, w), "127.0.0.1", load.plan.metrics_port)
    loop.add_signal_handler(signal.SIGTERM, stop)
    settle()
    load.say_ready(server.sockets[0].getsockname()[1])
    await _unless_alone(work, _listen(orders, heard.feed))


async def _unless_alone(work: Coroutine[Any, Any, None], listening: Awaitable[None]) -> None:
    """`work`, unless `listening` ends before it: who owns this process is then no more."""
    running, alone = asyncio.ensure_future(work), asyncio.ensure_future(listening)
    await asyncio.wait((running, alone), return_when=asyncio.FIRST_COMPLETED)
    if not running.done():
        raise HarnessGone
    await running


def _engine(load: Load) -> OpenLoop:
    engine = OpenLoop(load)

    def fail(_loop: asyncio.AbstractEventLoop, found: dict[str, Any]) -> None:
        engine.fail(found.get("exception") or RuntimeError(str(found["message"])))

    asyncio.get_running_loop().set_exception_handler(fail)
    return engine


async def _warm(load: Load, engine: OpenLoop) -> None:
    try:
        async with asyncio.timeout(WARM_S):
            for url in load.versions.entries:
                await engine.pool.warm(url, WARM_CONNECTIONS)
    except (OSError, TimeoutError) as error:
        raise UnreachableError(f"{load.plan.base_url}: {error or f'no connection within {WARM_S:g}s'}") from error


async def _stdin() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


async def _listen(reader: asyncio.StreamReader, feed: Callable[[bytes], None]) -> None:
    """Until the other end is closed."""
    while data := await reader.read(4096):
        feed(data)


async def _scraped(load: Load, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Whatever is asked for, the answer is the metrics."""
    try:
        await reader.readuntil(b"\r\n\r\n")
        content = generate_latest(load.metrics.registry)
        head = f"HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\ncontent-length: {len(content)}\r\nconnection: close\r\n\r\n"
        writer.write(head.encode() + content)
        await writer.drain()
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass  # whoever asked has left
    finally:
        writer.close()


class _Worker:
    """One worker: its connection to the master, and what comes over it."""

    def __init__(self, token: str) -> None:
        loop = asyncio.get_running_loop()
        self.plan: asyncio.Future[dict[str, Any]] = loop.create_future()
        self.master_gone, self.released = asyncio.Event(), asyncio.Event()
        self.talk = Talk(self._heard, self.master_gone.set)
        self.seat = say.Seat(self.talk.send, token)
        self._engine: OpenLoop | None = None
        self._listeners: dict[str, Callable[[dict[str, Any]], object]] = {
            say.CLOCK: self.seat.tell_clock,
            say.PLAN: self.plan.set_result,
            say.BEGIN: lambda data: self._loaded().begin(int(data["t0_ns"])),
            say.STOP: lambda _data: self._loaded().stop(),
            say.BYE: lambda _data: self.released.set(),
        }

    def _heard(self, kind: str, data: dict[str, Any]) -> None:
        if kind in self._listeners:
            self._listeners[kind](data)

    def _loaded(self) -> OpenLoop:
        assert self._engine is not None  # the master gives no order before it has heard that all is ready
        return self._engine

    async def join(self, master: str) -> dict[str, Any]:
        """Reach the master and get what a PLAN brings. Raises TimeoutError."""
        host, _, port = master.rpartition(":")
        async with asyncio.timeout(say.START_S):
            while True:
                try:
                    await asyncio.get_running_loop().create_connection(lambda: self.talk, host, int(port))
                    break
                except OSError:  # a worker of another host may be there first
                    await asyncio.sleep(_CONNECT_S)
            beat(self.talk)
            self.seat.hello()
            return await self.plan

    async def work(self, load: Load, owned: bool) -> None:
        """Carry out the plan. Raises HarnessGone when the master is no more."""
        self._engine = engine = _engine(load)
        await _warm(load, engine)
        settle()
        self.talk.send(say.READY, {})
        await _unless_alone(engine.run(), self._alone(owned))

    async def _alone(self, owned: bool) -> None:
        gone = [asyncio.ensure_future(self.master_gone.wait())]
        if owned:
            gone.append(asyncio.ensure_future(_listen(await _stdin(), lambda _data: None)))  # type: ignore[arg-type]
        await asyncio.wait(gone, return_when=asyncio.FIRST_COMPLETED)

    async def leave(self) -> None:
        """The master has all that was sent."""
        try:
            async with asyncio.timeout(say.RELEASE_S):
                await self.released.wait()
        except TimeoutError:
            pass  # it is as lost to the master as the master is to it
        self.talk.close()


def work_for(master: str, *, owned: bool) -> int:
    """A worker, from its first word to its last."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        worker = runner.run(_new_worker(os.environ.pop(WORKER_TOKEN_VARIABLE, "")))
        got = runner.run(worker.join(master))
        code = worker.seat.carry_out(got, lambda load: runner.run(worker.work(load, owned)))
        if code != OWNER_GONE:
            runner.run(worker.leave())
    return code


async def _new_worker(token: str) -> _Worker:
    return _Worker(token)


def _run(load: Load) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_carry_out(load))


def main(argv: list[str]) -> int:
    """The exit status: see `perform`."""
    if argv[1] in ("--worker", "--owned-worker"):
        return work_for(argv[2], owned=argv[1] == "--owned-worker")
    return carry_out(argv, _run)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
