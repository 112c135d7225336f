"""The load of the proxies' benchmark: a process of its own that prints one JSON line. `python -m tests.benchmarks.proxy_load JOB`

The job is JSON with `kind`, `port` and:
- `closed`: {connections, seconds}: every connection asks again as soon as it is answered.
- `open`: {ports, rate, seconds, connections}: asks at each of the ports in turn at due times, over connections that are open; times are
  from the due time. In turn, so that a busy machine is so for all of them.
- `stream`: {streams, spread_s}: reads server-sent events to their end and notes when each piece arrives.
- `delay`: {count}: asks one at a time.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from time import perf_counter
from typing import Any, cast

import numpy as np
import uvloop

ASK = b"GET /small HTTP/1.1\r\nhost: benchmark\r\n\r\n"
ASK_STREAM = b"GET /stream HTTP/1.1\r\nhost: benchmark\r\n\r\n"
LENGTH = re.compile(rb"content-length: *([0-9]+)", re.IGNORECASE)


class Connection(asyncio.Protocol):
    """Asks and waits for whole answers, of which each may come in several pieces."""

    def __init__(self, again: bool = False) -> None:
        self.answers = 0
        self.refused = 0
        self.lost = False
        self._again = again
        self._data = b""
        self._answered: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        if self._again:
            self._transport.write(ASK)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(exc or ConnectionError("closed"))

    def data_received(self, data: bytes) -> None:
        data = self._data + data if self._data else data
        end = data.find(b"\r\n\r\n")
        length = LENGTH.search(data, 0, end) if end >= 0 else None
        if length is None or len(data) < end + 4 + int(length[1]):
            self._data = data
            return
        self._data = b""
        self.answers += 1
        self.refused += not data.startswith(b"HTTP/1.1 200")
        if self._again and self._transport is not None:
            self._transport.write(ASK)
        elif self._answered is not None:
            self._answered.set_result(None)

    async def ask(self) -> None:
        """One request and its answer."""
        assert self._transport is not None
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(ASK)
        await self._answered

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


async def connect(port: int, again: bool = False) -> Connection:
    _, connection = await asyncio.get_running_loop().create_connection(lambda: Connection(again), "127.0.0.1", port)
    return connection


async def closed(job: dict[str, Any]) -> dict[str, Any]:
    """Answers per second, after a start that is not counted."""
    connections = [await connect(job["port"], again=True) for _ in range(job["connections"])]
    await asyncio.sleep(job["seconds"] / 5)
    before, started_s = sum(one.answers for one in connections), perf_counter()
    await asyncio.sleep(job["seconds"])
    answers, took_s = sum(one.answers for one in connections) - before, perf_counter() - started_s
    lost, refused = sum(one.lost for one in connections), sum(one.refused for one in connections)
    for one in connections:
        one.abort()
    return {"answers_per_s": answers / took_s, "lost": lost, "refused": refused, "answers": sum(one.answers for one in connections)}


async def until(due_s: float) -> None:
    """The last two milliseconds are spent awake: timers count whole ones."""
    await asyncio.sleep(max(0.0, due_s - perf_counter() - 0.002))
    while perf_counter() < due_s:  # noqa: ASYNC110  # there is no event to wait for: a timer would be late
        await asyncio.sleep(0)  # the sockets get their turn


async def paced(job: dict[str, Any]) -> dict[str, Any]:
    """For each port, milliseconds from when each request was due to its answer."""
    ports, rate = job["ports"], job["rate"] * len(job["ports"])
    free: dict[int, asyncio.LifoQueue[Connection]] = {port: asyncio.LifoQueue() for port in ports}
    for port in ports * job["connections"]:
        free[port].put_nowait(await connect(port))
    times_ms: dict[int, list[float]] = {port: [] for port in ports}

    async def one(port: int, due_s: float) -> None:
        connection = await free[port].get()
        await connection.ask()
        times_ms[port].append((perf_counter() - due_s) * 1_000)
        free[port].put_nowait(connection)

    started_s, tasks = perf_counter() + 0.05, []
    for number in range(round(rate * job["seconds"])):
        due_s = started_s + number / rate
        await until(due_s)
        # Another order in every round of ports: who follows whom must not decide.
        tasks.append(asyncio.ensure_future(one(ports[(number + number // len(ports)) % len(ports)], due_s)))
    await asyncio.gather(*tasks)
    return {
        str(port): {"p50_ms": float(np.percentile(times, 50)), "p99_ms": float(np.percentile(times, 99))}
        for port, times in times_ms.items()
    }


class Stream(asyncio.Protocol):
    """One stream of server-sent events: when each piece came, and how many events it held."""

    def __init__(self) -> None:
        self.pieces: list[tuple[float, int]] = []
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).write(ASK_STREAM)

    def data_received(self, data: bytes) -> None:
        self.pieces.append((perf_counter(), data.count(b"data:")))
        if b"data: [DONE]" in data and not self.done.done():
            self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("closed before the last event"))


async def stream(job: dict[str, Any]) -> dict[str, Any]:
    """Events, how many of them came together with another one, and the gaps between pieces."""
    loop, streams = asyncio.get_running_loop(), []
    for _ in range(job["streams"]):
        transport, one = await loop.create_connection(Stream, "127.0.0.1", job["port"])
        streams.append((transport, one))
        await asyncio.sleep(job["spread_s"] / job["streams"])
    await asyncio.gather(*(one.done for _, one in streams))
    gaps_ms = np.concatenate([np.diff([at for at, events in one.pieces if events]) * 1_000 for _, one in streams])
    batched = sum(max(0, events - 1) for _, one in streams for _, events in one.pieces)
    for transport, _ in streams:
        transport.abort()
    events = sum(events for _, one in streams for _, events in one.pieces)
    return {"events": events, "batched": batched, "gap_ms_p50": float(np.median(gaps_ms)), "gap_ms_p99": float(np.percentile(gaps_ms, 99))}


async def delays(job: dict[str, Any]) -> dict[str, Any]:
    """Milliseconds of each of some requests, one after the other."""
    connection, times_ms = await connect(job["port"]), []
    for _ in range(job["count"]):
        started_s = perf_counter()
        await connection.ask()
        times_ms.append((perf_counter() - started_s) * 1_000)
    return {"median_ms": float(np.median(times_ms)), "p95_ms": float(np.percentile(times_ms, 95)), "max_ms": max(times_ms)}


KINDS = {"closed": closed, "open": paced, "stream": stream, "delay": delays}

if __name__ == "__main__":
    wanted = json.loads(sys.argv[1])
    print(json.dumps(uvloop.run(KINDS[wanted["kind"]](wanted))))
