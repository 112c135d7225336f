"""Time and HTTP without a clock and a network."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from harness.load.http import BrokenBodyError, Reply


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
    """`body`: bytes, or lines; with `broken`, it breaks off after them."""

    def __init__(self, status: int = 200, body: object = b"", headers: Mapping[str, str] | None = None, broken: bool = False) -> None:
        self.status = status
        self._lines = body if isinstance(body, list) else [body if isinstance(body, bytes) else json.dumps(body).encode()]
        self._headers = headers or {}
        self._broken = broken

    def header(self, name: str) -> str | None:
        return self._headers.get(name)

    def read(self) -> bytes:
        return b"".join(self.lines())

    def lines(self) -> Iterator[bytes]:
        yield from self._lines
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

    @contextmanager
    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Iterator[Reply]:
        self.sent.append((method, url, headers, json.loads(body) if body is not None else None))
        yield self._respond(method, url)


class AtOnce:
    """Concurrency without any: what is spawned runs at once, sleeping moves the clock."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock

    def spawn(self, work: Callable[[], None]) -> None:
        work()

    def sleep(self, duration_s: float) -> None:
        self._clock.sleep(duration_s)

    def limit(self, duration_s: float) -> AbstractContextManager[object]:
        return nullcontext()

    def cancel_spawned(self) -> None: ...
