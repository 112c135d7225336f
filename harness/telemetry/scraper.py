"""Fetches the metrics of many targets at once, within one bounded time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from harness.record.clock import NS_PER_S, Clock
from harness.telemetry.prometheus_text import ParseError, Sample, parse

TIMEOUT_S = 0.8
_CONCURRENCY = 32
_BODY_LIMIT = 4 * 1024 * 1024
_KINDS: Mapping[str, type[HTTPConnection]] = {"http": HTTPConnection, "https": HTTPSConnection}


@dataclass(frozen=True, slots=True)
class Target:
    """Something with metrics. `url` is http or https, with the path."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Scrape:
    """What one target said: samples, or the reason why there are none. `t_ns` is when it was asked, `date` what the answer is dated."""

    target: Target
    t_ns: int
    duration_ns: int
    samples: Sequence[Sample] = ()
    error: str | None = None
    date: str | None = None  # as RFC 9110, 6.6.1 has it


class Scraper:
    """Asks all targets concurrently, over connections that are kept. One `scrape` at a time; `close` when done."""

    def __init__(self, targets: Sequence[Target], clock: Clock, timeout_s: float = TIMEOUT_S) -> None:
        self._clock = clock
        self._timeout_s = timeout_s
        self._fetchers = [_Fetcher(target, clock, timeout_s) for target in targets]
        self._pool = ThreadPoolExecutor(max(1, min(_CONCURRENCY, len(targets))), thread_name_prefix="scrape")

    def scrape(self) -> list[Scrape]:
        """One result a target, in the order of the targets, after `timeout_s` at the latest."""
        asked_ns = self._clock.now_ns()
        futures = [self._pool.submit(fetcher.fetch) for fetcher in self._fetchers]
        wait(futures, self._timeout_s)
        return [self._result(fetcher, future, asked_ns) for fetcher, future in zip(self._fetchers, futures, strict=True)]

    def close(self) -> None:
        """Idempotent; wakes whoever still waits for an answer."""
        for fetcher in self._fetchers:
            fetcher.abort()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _result(self, fetcher: _Fetcher, future: Future[Scrape], asked_ns: int) -> Scrape:
        if future.done():
            return future.result()
        future.cancel()
        missed = "no answer" if fetcher.connected else "no connection"
        fetcher.abort()  # wakes the thread that waits for it
        return Scrape(fetcher.target, asked_ns, self._clock.now_ns() - asked_ns, error=f"{missed} within {self._timeout_s:g}s")


class _Fetcher:
    """One target and the connection to it."""

    def __init__(self, target: Target, clock: Clock, timeout_s: float) -> None:
        self.target = target
        self._clock = clock
        self._timeout_s = timeout_s
        parts = urlsplit(target.url)
        if parts.scheme not in _KINDS or not parts.hostname:
            raise ValueError(f"{target.url!r}: a target is an http or https URL")
        self._kind = _KINDS[parts.scheme]
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._address = (parts.hostname, parts.port or self._kind.default_port)
        self._connection: HTTPConnection | None = None
        self._busy = threading.Lock()

    @property
    def connected(self) -> bool:
        """Somebody has accepted its connection: a host that is there, if nothing else."""
        connection = self._connection
        return connection is not None and connection.sock is not None

    def fetch(self) -> Scrape:
        begun_ns = self._clock.now_ns()
        if not self._busy.acquire(timeout=self._timeout_s):
            return self._failed(begun_ns, "the scrape before is still waiting")
        try:
            text, date = self._get(begun_ns + int(self._timeout_s * NS_PER_S))
            samples = parse(text)
        except (OSError, HTTPException, ParseError, _RefusedError) as error:
            self.abort()
            return self._failed(begun_ns, f"{type(error).__name__}: {error}" if not isinstance(error, _RefusedError) else str(error))
        finally:
            self._busy.release()
        return Scrape(self.target, begun_ns, self._clock.now_ns() - begun_ns, samples, date=date)

    def abort(self) -> None:
        """Close the connection, also under another thread that is reading from it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            if connection.sock is not None:
                with suppress(OSError):  # it was closed already
                    connection.sock.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _get(self, deadline_ns: int) -> tuple[str, str | None]:
        kept = self._connection is not None
        try:
            return self._exchange(deadline_ns)
        except (ConnectionError, HTTPException):
            if not kept or self._clock.now_ns() >= deadline_ns:
                raise
            self.abort()  # a kept connection dies with the process behind it; a new process deserves a new one
            return self._exchange(deadline_ns)

    def _exchange(self, deadline_ns: int) -> tuple[str, str | None]:
        if self._connection is None:
            self._connection = self._kind(*self._address, timeout=self._timeout_s)
        connection = self._connection
        if connection.sock is None:
            try:
                connection.connect()
            except TimeoutError as error:
                raise _RefusedError(f"no connection within {self._timeout_s:g}s") from error
        connection.request("GET", self._path, headers={"accept": "text/plain"})
        response = connection.getresponse()
        body = self._body(response, deadline_ns)
        if response.status != 200:
            raise _RefusedError(f"HTTP {response.status}")
        return body.decode("utf-8", "replace"), response.headers.get("date")

    def _body(self, response: HTTPResponse, deadline_ns: int) -> bytes:
        body = bytearray()
        while data := response.read1(65536):
            body += data
            if len(body) > _BODY_LIMIT:
                raise _RefusedError(f"more than {_BODY_LIMIT} bytes of metrics")
            if self._clock.now_ns() > deadline_ns:
                raise TimeoutError("the answer drips")
        return bytes(body)

    def _failed(self, begun_ns: int, error: str) -> Scrape:
        return Scrape(self.target, begun_ns, self._clock.now_ns() - begun_ns, error=error)


class _RefusedError(Exception):
    """An answer, but not the metrics."""
