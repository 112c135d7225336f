"""Requests and their answers on one connection, as long as faults of HTTP are in force: everything else passes as it came."""

from __future__ import annotations

import re
from time import monotonic

from harness.faults.proxy.alarm import Alarm
from harness.faults.proxy.framing import REQUEST_LINE, Framing, FramingError, Kind, Part
from harness.faults.proxy.http_toxics import Plan
from harness.faults.proxy.piece import Ending
from harness.faults.proxy.pipe import Pipe
from harness.faults.proxy.table import Entry, FaultTable

WAITING_BYTES_MAX = 1024 * 1024
"""Of a client, behind a request that is delayed or not answered yet, before it is made to wait."""
_BEGIN_OF_REQUEST = re.compile(rb"[A-Z]{1,20}( [^\r\n]*)?\r?")
_EXPECTS = re.compile(rb"\r\nexpect:", re.IGNORECASE)


class Exchange:
    """One request and its answer, from the request's head to the last byte of both."""

    __slots__ = ("answered", "asked", "cut_left", "delayed_by", "head", "method", "plan")

    def __init__(self, head: Part, method: bytes, plan: Plan, delayed_by: tuple[Entry, ...]) -> None:
        self.head: Part | None = head  # until it is due
        self.method = method
        self.plan = plan
        self.delayed_by = delayed_by
        self.cut_left = plan.cut_after_bytes
        self.asked = False  # the whole request has been passed on, or swallowed
        self.answered = False


class HttpExchanges:
    """Follows a connection from a request's first byte on: one that was open before is joined with its next request.

    Requests that come before the last one was answered wait until it is. What is no HTTP/1.1 passes, now and for ever.
    """

    def __init__(self, table: FaultTable, up: Pipe, down: Pipe) -> None:
        self._table = table
        self._up = up
        self._down = down
        self._requests = Framing(requests=True)
        self._answers = Framing(requests=False)
        self._joined = False  # a request has been seen
        self._opaque = False
        self._exchange: Exchange | None = None
        self._client_ended = False
        self._alarm = Alarm(self._advance)

    @property
    def idle(self) -> bool:
        """Between two requests, so that nobody need follow any longer."""
        return self._opaque or (self._exchange is None and not self._requests.waiting)

    def from_client(self, data: bytes) -> None:
        """What the client sent."""
        if not self._joined and (REQUEST_LINE.match(data) is not None or _BEGIN_OF_REQUEST.fullmatch(data) is not None):
            self._joined = True
        if self._opaque or not self._joined:
            self._up.feed(data)
            return
        self._requests.push(data)
        self._advance()

    def from_server(self, data: bytes) -> None:
        """What the server sent."""
        exchange = self._exchange
        if self._opaque or exchange is None or exchange.head is not None:
            self._down.feed(data)
            return
        self._answers.push(data)
        try:
            self._pass_answer(exchange)
        except FramingError:
            self._give_up()
        if exchange.answered:
            self._advance()

    def end_of_client(self) -> None:
        """It sends no more."""
        self._client_ended = True
        self._advance()

    def follow(self) -> None:
        """Faults came or went: a request that waited for those that are gone waits no longer."""
        exchange = self._exchange
        if exchange is not None and exchange.head is not None and not any(entry in self._table.http for entry in exchange.delayed_by):
            exchange.plan.due_s = 0.0
            self._advance()

    def close(self) -> None:
        """Forget everything."""
        self._alarm.cancel()

    def _advance(self) -> None:
        """Pass on of the requests what may pass now."""
        try:
            out = self._pull_requests()
        except FramingError:
            self._give_up()
            return
        if out:
            self._up.feed(out)
        self._up.hold_source("http", self._requests.waiting > WAITING_BYTES_MAX)
        if self._client_ended and (self._exchange is None or self._exchange.head is None):
            self._up.feed(self._requests.rest(), Ending.FIN)

    def _pull_requests(self) -> bytes:
        out: list[bytes] = []
        while (exchange := self._exchange or self._begin()) is not None:
            self._exchange = exchange
            if exchange.asked:
                if not exchange.answered:
                    break
                self._exchange = None
                continue
            part = exchange.head or self._requests.pull()
            if part is None:
                break
            if exchange.head is not None and exchange.plan.due_s > monotonic():
                self._alarm.set(exchange.plan.due_s)
                break
            exchange.head = None
            self._take_request(exchange, part, out)
        return b"".join(out)

    def _begin(self) -> Exchange | None:
        """The next exchange, when the head of its request is whole: what befalls it is drawn now."""
        head = self._requests.pull()
        if head is None:
            return None
        line = REQUEST_LINE.match(head.data)
        method, path = (line[1], line[2]) if line is not None else (b"", b"/")
        now_s = monotonic()
        plan, delayed_by = Plan(now_s, now_s), []
        for entry in self._table.http:
            before_s = plan.due_s
            if entry.http is not None and entry.http.befalls(path, entry.random) and entry.http.apply(plan):
                entry.requests += 1
                if plan.due_s != before_s:
                    delayed_by.append(entry)
        return Exchange(head, method, plan, tuple(delayed_by))

    def _take_request(self, exchange: Exchange, part: Part, out: list[bytes]) -> None:
        """Pass a part on, or swallow it and answer when the request is whole."""
        exchange.asked = part.last
        answer = exchange.plan.answer
        if answer is None:
            out.append(part.data)
        elif part.kind is Kind.HEAD and not part.last and _EXPECTS.search(part.data):
            self._down.feed(answer.encode(exchange.method, last=True), Ending.CLOSE)  # the body may never come
        elif part.last:
            exchange.answered = True
            self._down.feed(answer.encode(exchange.method, last=False))

    def _pass_answer(self, exchange: Exchange) -> None:
        out: list[bytes] = []
        ending = None
        while not exchange.answered and ending is None:
            part = self._answers.pull(bodiless=exchange.method == b"HEAD")
            if part is None:
                break
            data = part.data
            if part.kind is Kind.BODY:
                data, ending = _cut(exchange, data)
            elif data[9:12] == b"101":
                self._opaque = True  # another protocol from here on
                data += self._answers.rest()
                exchange.answered = True
            elif data[9:10] != b"1":
                for edit in exchange.plan.edits:
                    data = edit(data)
            out.append(data)
            exchange.answered = exchange.answered or part.last
        if exchange.answered and self._opaque:
            self._up.feed(self._requests.rest())
        if out:
            self._down.feed(b"".join(out), ending)

    def _give_up(self) -> None:
        """This is no HTTP: pass what has been kept, and all that follows, as it came."""
        exchange, self._exchange, self._opaque = self._exchange, None, True
        self._alarm.cancel()
        kept = exchange.head.data if exchange is not None and exchange.head is not None else b""
        self._up.feed(kept + self._requests.rest(), Ending.FIN if self._client_ended else None)
        self._down.feed(self._answers.rest())


def _cut(exchange: Exchange, data: bytes) -> tuple[bytes, Ending | None]:
    """What may pass of a part of the body, and whether the connection ends there."""
    if exchange.cut_left is None:
        return data, None
    if len(data) <= exchange.cut_left:
        exchange.cut_left -= len(data)
        return data, None
    return data[: exchange.cut_left], Ending.CLOSE
