"""Time and HTTP without a clock and a network."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from harness.load.http import BrokenBodyError, Exchange


class FakeClock:
    """Moves when somebody sleeps, and a microsecond at each reading."""

    def __init__(self) -> None:
        self.t_ns = 1_000_000_000

    def now_ns(self) -> int:
        self.t_ns += 1_000
        return self.t_ns

    def sleep(self, duration_s: float) -> None:
        self.t_ns += round(duration_s * 1e9)


class FakeReply:
    """`body`: bytes, or pieces; with `broken`, it breaks off after them."""

    def __init__(self, status: int = 200, body: object = b"", headers: Mapping[str, str] | None = None, broken: bool = False) -> None:
        self.status = status
        self._pieces = body if isinstance(body, list) else [body if isinstance(body, bytes) else json.dumps(body).encode()]
        self._headers = headers or {}
        self._broken = broken

    def pieces(self) -> Iterator[bytes]:
        yield from self._pieces

    def into(self, exchange: Exchange) -> None:
        exchange.begin(self.status, "retry-after" in self._headers)
        for piece in self.pieces():
            exchange.feed(piece)
        if self._broken:
            raise BrokenBodyError("cut")


def events(*documents: object) -> list[bytes]:
    """The lines of a stream with these events."""
    data = (d if isinstance(d, str) else json.dumps(d) for d in documents)
    return [line for d in data for line in (f"data: {d}\n".encode(), b"\n")]


class FakeTransport:
    """Answers each request with `respond(method, url)`, which may raise instead."""

    def __init__(self, respond: Callable[[str, str], FakeReply]) -> None:
        self._respond = respond
        self.sent: list[tuple[str, str, Mapping[str, str], Any]] = []

    def perform(self, exchange: Exchange) -> None:
        asked = exchange.request
        self.sent.append((asked.method, asked.url, asked.headers, json.loads(asked.body) if asked.body is not None else None))
        self._respond(asked.method, asked.url).into(exchange)


class AtOnce:
    """Concurrency without any: what is spawned runs at once, sleeping moves the clock."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock

    def spawn(self, work: Callable[[], None]) -> None:
        work()

    def later(self, delay_s: float, work: Callable[[], None]) -> None:
        raise NotImplementedError

    def sleep(self, duration_s: float) -> None:
        self._clock.sleep(duration_s)

    nap = sleep

    def limit(self, duration_s: float) -> AbstractContextManager[object]:
        return nullcontext()

    def cancel_spawned(self) -> None: ...
