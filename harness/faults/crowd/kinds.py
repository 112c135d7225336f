"""How they misbehave. Each runs until it is cancelled, and counts what becomes of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any

from harness.faults.crowd.client import Request, exchange, request

IN_FLIGHT_MAX = 2_000
DRIP_EVERY_S = 1.0


@dataclass(slots=True)
class Tally:
    """What has happened so far; `held` is how many connections are open on purpose now."""

    sent: int = 0
    answered: int = 0
    failed: int = 0
    dropped: int = 0
    held: int = 0
    calls: int = 0  # what a person wanted; a retry is another request for the same call


@dataclass(slots=True)
class Crowd:
    """Who asks, whom, and what. `plan` holds the parameters of the kind."""

    host: str
    port: int
    path: str
    asks: bool  # questions for POST; else a plain GET
    headers: dict[str, str]
    plan: dict[str, Any]
    random: Random
    tally: Tally = field(default_factory=Tally)
    _numbers: Any = field(default_factory=count)

    def request(self, *, same: bool = False, chars: int = 0) -> Request:
        """One more: another question each time, or the `same` one; padded to `chars` characters."""
        if not self.asks:
            return request(self.host, self.port, "GET", self.path, self.headers)
        question = "What do the documents say?" if same else f"What do the documents say about matter {next(self._numbers)}?"
        if chars > len(question):
            question = (self._filling(chars - len(question) - 1) + " " + question)[-chars:]
        body = json.dumps({"question": question, "top_k": 5}).encode()
        return request(self.host, self.port, "POST", self.path, {**self.headers, "content-type": "application/json"}, body)

    def _filling(self, chars: int) -> str:
        words = (f"w{self.random.randrange(10_000)}" for _ in range(chars // 3 + 1))
        return " ".join(words)[:chars]

    async def once(self, asked: Request, timeout_s: float) -> bool:
        """One request; whether an answer came that is no server error."""
        self.tally.sent += 1
        status = await exchange(asked, timeout_s)
        good = status is not None and status < 500
        if good:
            self.tally.answered += 1
        else:
            self.tally.failed += 1
        return good


async def steady(crowd: Crowd) -> None:
    """`rate` requests a second whatever the answers do; `same` for one question only, `chars` for long ones."""
    plan = crowd.plan

    async def call() -> None:
        crowd.tally.calls += 1
        await crowd.once(crowd.request(same=plan.get("same", False), chars=plan.get("chars", 0)), plan["timeout_s"])

    await _arrivals(crowd, plan["rate"], call)


async def retrying(crowd: Crowd) -> None:
    """`rate` calls a second, each given up after `patience_s` and repeated at once, up to `retries` times: no backoff, no budget."""
    plan = crowd.plan

    async def call() -> None:
        crowd.tally.calls += 1
        asked = crowd.request()
        for _ in range(1 + plan["retries"]):
            if await crowd.once(asked, plan["patience_s"]):
                return

    await _arrivals(crowd, plan["rate"], call)


async def herd(crowd: Crowd) -> None:
    """`clients` requests at the same moment, every `every_s`."""
    plan = crowd.plan
    async with asyncio.TaskGroup() as tasks:
        due_s = asyncio.get_running_loop().time()
        while True:
            for _ in range(plan["clients"]):
                if crowd.tally.sent - crowd.tally.answered - crowd.tally.failed < IN_FLIGHT_MAX:
                    crowd.tally.calls += 1
                    tasks.create_task(crowd.once(crowd.request(), plan["timeout_s"]))
                else:
                    crowd.tally.dropped += 1
            due_s += plan["every_s"]
            await _until(due_s)


async def dripping(crowd: Crowd) -> None:
    """`clients` connections whose request never ends: a byte of a header each second (slow loris)."""
    async with asyncio.TaskGroup() as tasks:
        for _ in range(crowd.plan["clients"]):
            tasks.create_task(_drip(crowd))


async def _drip(crowd: Crowd) -> None:
    head = crowd.request().wire.split(b"\r\n\r\n", 1)[0] + b"\r\nx-drip: "
    while True:
        writer: asyncio.StreamWriter | None = None
        try:
            reader, writer = await asyncio.open_connection(crowd.host, crowd.port)
            crowd.tally.sent += 1
            crowd.tally.held += 1
            try:
                writer.write(head)
                await _drip_on(reader, writer)
            finally:
                crowd.tally.held -= 1
        except OSError:
            crowd.tally.failed += 1
        finally:
            if writer is not None:
                writer.close()
        await asyncio.sleep(DRIP_EVERY_S)


async def _drip_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until the server has had enough. Raises OSError."""
    while not reader.at_eof():
        writer.write(b"a")
        await writer.drain()
        try:
            async with asyncio.timeout(DRIP_EVERY_S):
                await reader.read(1)
        except TimeoutError:
            continue


async def _arrivals(crowd: Crowd, rate: float, call: Callable[[], Awaitable[None]]) -> None:
    """Evenly spaced calls, from their due times: one that is late does not make the next one late."""
    due_s = asyncio.get_running_loop().time()
    tasks: set[asyncio.Future[None]] = set()
    while True:
        if len(tasks) < IN_FLIGHT_MAX:
            task = asyncio.ensure_future(call())
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        else:
            crowd.tally.dropped += 1
        due_s += 1.0 / rate
        await _until(due_s)


async def _until(due_s: float) -> None:
    await asyncio.sleep(max(0.0, due_s - asyncio.get_running_loop().time()))


KINDS: dict[str, Callable[[Crowd], Awaitable[None]]] = {"steady": steady, "retrying": retrying, "herd": herd, "dripping": dripping}
