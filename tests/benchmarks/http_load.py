"""A load client for the benchmarks of mocks: a process of its own that prints one JSON line.

`python -m tests.benchmarks.http_load JOB.json`; the job is a JSON object with `kind`:
- `closed`: {url, body, connections, seconds, marker}: every connection asks again as soon as it is answered; counts answers, and
  occurrences of `marker` (a token's event) in their bodies. `NUMBER` in the body is another number in every request.
- `paced`: {url, body, streams, spread_s}: opens that many streams over `spread_s` and notes when each piece with content arrives.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import httptools
import numpy as np
import uvloop

CONTENT = b'"content":'
NUMBER = b"0000000"
EMPTY = (b'"content":""', b'"content": ""', b'"content":null', b'"content": null')
DEADLINE_S = 120.0


class Client(asyncio.Protocol):
    """One connection: asks, reads, tells `answered` and, piece by piece, `piece`."""

    numbers = itertools.count(1)

    def __init__(self, request: bytes, again: bool) -> None:
        self._before, self._number, self._after = request.partition(NUMBER)
        self._again = again
        self.transport: asyncio.Transport | None = None
        self.status = 0
        self.answers = 0
        self.bad = 0
        self.pieces: list[tuple[float, bytes]] = []
        self.count = 0
        self.marker = b""
        self.keep_pieces = False
        self.asked_s = 0.0
        self.done = asyncio.get_running_loop().create_future()
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self.ask()

    def ask(self) -> None:
        assert self.transport is not None
        self.asked_s = time.perf_counter()
        number = b"%07d" % next(self.numbers) if self._number else b""
        self.transport.write(self._before + number + self._after)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        if self.keep_pieces:
            self.pieces.append((time.perf_counter(), body))
        elif self.marker:
            self.count += body.count(self.marker)

    def on_message_complete(self) -> None:
        self.answers += 1
        self.bad += self._parser.get_status_code() != 200
        self._parser = httptools.HttpResponseParser(self)
        if self._again:
            self.ask()
        elif not self.done.done():
            self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


def request_bytes(url: str, body: bytes) -> tuple[str, int, bytes]:
    parts = urlsplit(url)
    assert parts.hostname and parts.port
    head = (
        f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer sk-benchmark\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return parts.hostname, parts.port, head.encode() + body


async def closed(job: dict[str, Any]) -> dict[str, Any]:
    """Answers and tokens per second, after a start that is not counted."""
    host, port, request = request_bytes(job["url"], json.dumps(job["body"]).encode())
    loop = asyncio.get_running_loop()
    clients: list[Client] = []
    for _ in range(job["connections"]):
        _, client = await loop.create_connection(lambda: Client(request, again=True), host, port)
        client.marker = job["marker"].encode()
        clients.append(client)
    await asyncio.sleep(job["seconds"] / 5)
    before, started_s = (sum(c.answers for c in clients), sum(c.count for c in clients)), time.perf_counter()
    await asyncio.sleep(job["seconds"])
    after, took_s = (sum(c.answers for c in clients), sum(c.count for c in clients)), time.perf_counter() - started_s
    for client in clients:
        if client.transport is not None:
            client.transport.abort()
    answers = after[0] - before[0]
    return {
        "answers_per_s": answers / took_s,
        "tokens_per_s": (after[1] - before[1]) / took_s,
        "tokens_per_answer": (after[1] - before[1]) / max(1, answers),
        "bad": sum(c.bad for c in clients),
        "lost": sum(c.done.done() for c in clients),
    }


async def paced(job: dict[str, Any]) -> dict[str, Any]:
    """First token, gaps and mean pace of streams that are paced by the server."""
    host, port, request = request_bytes(job["url"], json.dumps(job["body"]).encode())
    loop = asyncio.get_running_loop()
    started_s = loop.time()
    clients: list[Client] = []

    async def stream(number: int) -> None:
        await asyncio.sleep(started_s + job["spread_s"] * number / job["streams"] - loop.time())
        _, client = await loop.create_connection(lambda: Client(request, again=False), host, port)
        client.keep_pieces = True
        clients.append(client)
        await client.done

    await asyncio.wait_for(asyncio.gather(*(stream(i) for i in range(job["streams"]))), DEADLINE_S)
    first_ms, gaps_ms, pace_ms, tokens = [], [], [], []
    for client in clients:
        moments = [at for at, data in client.pieces for _ in range(content_events(data))]
        tokens.append(len(moments))
        if len(moments) > 1:
            first_ms.append((moments[0] - client.asked_s) * 1_000)
            gaps_ms.extend(np.diff(moments) * 1_000)
            pace_ms.append((moments[-1] - moments[0]) * 1_000 / (len(moments) - 1))
    return {
        "streams": len(clients),
        "bad": sum(c.bad or c.answers != 1 for c in clients),
        "tokens_per_answer": float(np.mean(tokens)),
        "ttft_ms": percentiles(first_ms),
        "itl_ms": percentiles(gaps_ms),
        "tpot_ms_mean": float(np.mean(pace_ms)) if pace_ms else None,
        "tpot_ms": percentiles(pace_ms),
    }


def content_events(data: bytes) -> int:
    """How many events with text a piece holds."""
    return data.count(CONTENT) - sum(data.count(empty) for empty in EMPTY)


def percentiles(values: list[float]) -> dict[str, float]:
    if not values:
        return {}
    return {name: float(np.percentile(values, q)) for name, q in (("p50", 50), ("p99", 99), ("max", 100))}


def main() -> int:
    job = json.loads(Path(sys.argv[1]).read_text())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run({"closed": closed, "paced": paced}[job["kind"]](job))))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
