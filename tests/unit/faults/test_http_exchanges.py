"""Where HTTP messages begin and end, and what faults make of requests and answers: pipes that only note, no socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.faults.proxy.exchange import HttpExchanges
from harness.faults.proxy.framing import Framing, FramingError, Kind
from harness.faults.proxy.piece import Ending
from harness.faults.proxy.pipe import Pipe
from harness.faults.proxy.table import FaultTable

ASK = b"GET /search HTTP/1.1\r\nhost: a\r\n\r\n"
UPLOAD = b"POST /docs HTTP/1.1\r\nhost: a\r\nContent-Length: 5\r\n\r\nhello"
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKED = STREAM_HEAD + b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\na: b\r\n\r\n"
COUNTED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\ncontent-length: 2\r\n\r\n{}"


def parts(framing: Framing, data: bytes, cuts: list[int]) -> tuple[bytes, list[bool]]:
    """All that is pulled when the data comes in pieces, and where messages ended."""
    out, ends, start = b"", [], 0
    for cut in (*sorted(cut % (len(data) + 1) for cut in cuts), len(data)):
        framing.push(data[start:cut])
        start = cut
        while (part := framing.pull()) is not None:
            out += part.data
            if part.last:
                ends.append(len(out))
    return out, cast(Any, ends)


@given(st.lists(st.integers(0, 1000), max_size=12))
def test_messages_are_found_however_they_are_cut(cuts: list[int]) -> None:
    asked = ASK + UPLOAD + ASK
    assert parts(Framing(requests=True), asked, cuts) == (asked, [len(ASK), len(ASK + UPLOAD), len(asked)])
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    answered = CHUNKED + interim + COUNTED + b"HTTP/1.1 204 No Content\r\n\r\n"
    ends = [len(CHUNKED), len(CHUNKED + interim + COUNTED), len(answered)]
    assert parts(Framing(requests=False), answered, cuts) == (answered, ends)


@given(st.binary(max_size=300), st.booleans())
def test_no_byte_of_garbage_is_lost(data: bytes, requests: bool) -> None:
    framing, out = Framing(requests=requests), b""
    framing.push(data)
    try:
        while (part := framing.pull()) is not None:
            out += part.data
    except FramingError:
        pass  # whoever gets this passes on what is left
    assert data.startswith(out)


def test_an_answer_without_a_length_ends_with_its_connection_and_one_to_head_has_no_body() -> None:
    framing = Framing(requests=False)
    framing.push(b"HTTP/1.0 200 OK\r\n\r\nwhatever")
    assert [(part.kind, part.last) for part in (framing.pull(), framing.pull()) if part] == [(Kind.HEAD, False), (Kind.BODY, False)]
    framing = Framing(requests=False)
    framing.push(COUNTED[:-2])
    part = framing.pull(bodiless=True)
    assert part is not None and part.last


class Noted:
    """A pipe that notes what it is fed."""

    def __init__(self) -> None:
        self.data = b""
        self.endings: list[Ending] = []
        self.fed = asyncio.Event()

    def feed(self, data: bytes, ending: Ending | None = None) -> None:
        self.data += data
        self.fed.set()
        if ending is not None:
            self.endings.append(ending)

    def hold_source(self, reason: str, hold: bool) -> None:
        """Nobody reads here."""


class Connection:
    """The exchanges of one connection under these faults."""

    def __init__(self, *documents: dict[str, Any]) -> None:
        self.table = FaultTable(monotonic, seed=1)
        for number, document in enumerate(documents):
            self.table.put(f"f{number}", document)
        self.up, self.down = Noted(), Noted()
        self.exchanges = HttpExchanges(self.table, cast(Pipe, self.up), cast(Pipe, self.down))


def in_loop(test: Callable[[], None]) -> Callable[[], None]:
    """Alarms want a running loop."""

    async def run() -> None:
        test()

    def wrapped() -> None:
        asyncio.run(run())

    wrapped.__name__ = test.__name__
    wrapped.__doc__ = test.__doc__
    return wrapped


@in_loop
def test_a_refused_request_is_swallowed_and_the_connection_goes_on() -> None:
    one = Connection({"type": "status", "status": 503, "path": "/docs"})
    one.exchanges.from_client(UPLOAD[:60])
    one.exchanges.from_client(UPLOAD[60:])
    assert one.up.data == b""
    assert one.down.data.startswith(b"HTTP/1.1 503 Service Unavailable\r\n") and one.down.data.endswith(b'"Service Unavailable"}}')
    one.exchanges.from_client(ASK)  # another path
    one.exchanges.from_server(COUNTED)
    assert (one.up.data, one.down.data[-len(COUNTED) :], one.down.endings) == (ASK, COUNTED, [])
    assert one.table.view()[0]["requests"] == 1


@in_loop
def test_who_expects_to_be_told_to_go_on_is_refused_at_once_and_the_connection_ends() -> None:
    one = Connection({"type": "status"})
    one.exchanges.from_client(b"POST /docs HTTP/1.1\r\ncontent-length: 9\r\nExpect: 100-continue\r\n\r\n")
    assert b"connection: close" in one.down.data and one.down.endings == [Ending.CLOSE]


@in_loop
def test_requests_that_do_not_wait_for_answers_wait_here() -> None:
    one = Connection({"type": "header_dropped", "header": "content-type"})
    one.exchanges.from_client(ASK + UPLOAD)
    assert one.up.data == ASK
    one.exchanges.from_server(COUNTED[:20])
    one.exchanges.from_server(COUNTED[20:])
    assert one.up.data == ASK + UPLOAD
    one.exchanges.from_server(CHUNKED)
    lean = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
    assert one.down.data == lean + CHUNKED.replace(b"content-type: text/event-stream\r\n", b"")
    assert one.exchanges.idle


@in_loop
def test_content_types_are_replaced_and_bodies_cut() -> None:
    one = Connection({"type": "content_type", "content_type": "text/html"}, {"type": "truncated", "after_bytes": 1})
    one.exchanges.from_client(ASK)
    one.exchanges.from_server(COUNTED)
    assert one.down.data == b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: text/html\r\n\r\n{"
    assert one.down.endings == [Ending.CLOSE]


@in_loop
def test_a_rate_lets_through_what_fits_and_says_when_to_come_back() -> None:
    one = Connection({"type": "rate_limited", "rate_per_s": 0.001, "burst": 2, "retry_after_s": 7})
    for _ in range(3):
        one.exchanges.from_client(ASK)
        one.exchanges.from_server(COUNTED)
    assert one.up.data == ASK * 2
    assert b"HTTP/1.1 429 Too Many Requests\r\n" in one.down.data and b"\r\nretry-after: 7\r\n" in one.down.data


@pytest.mark.parametrize("taken_away", [True, False])
def test_a_delayed_request_leaves_when_it_is_due_or_when_the_delay_is_taken_away(taken_away: bool) -> None:
    async def run() -> float:
        one = Connection({"type": "delay", "delay_s": 30.0 if taken_away else 0.05})
        started_s = monotonic()
        one.exchanges.from_client(ASK)
        assert one.up.data == b""
        if taken_away:
            one.table.clear()
            one.exchanges.follow()
        await one.up.fed.wait()
        assert one.up.data == ASK
        return monotonic() - started_s

    took_s = asyncio.run(asyncio.wait_for(run(), 10.0))
    assert took_s < 5.0 if taken_away else took_s >= 0.05


@in_loop
def test_what_is_no_http_passes_as_it_came() -> None:
    one = Connection({"type": "status"})
    said = (b"*1\r\n$4\r\nPING\r\n", b"\x00\x00\x00\x08\x04\xd2\x16\x2f", b"GET", b" it\r\n\r\n")
    for data in said:
        one.exchanges.from_client(data)
    one.exchanges.from_server(b"+PONG\r\n")
    assert (one.up.data, one.down.data, one.exchanges.idle) == (b"".join(said), b"+PONG\r\n", True)
    other = Connection({"type": "truncated", "after_bytes": 0})
    other.exchanges.from_client(b"GET /ws HTTP/1.1\r\nupgrade: websocket\r\n\r\n")
    switching = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n"
    other.exchanges.from_server(switching + b"\x81\x01")
    other.exchanges.from_client(b"\x81\x02")
    other.exchanges.from_server(b"\x81\x03")
    assert (other.down.data, other.up.data[-2:]) == (switching + b"\x81\x01\x81\x03", b"\x81\x02")
