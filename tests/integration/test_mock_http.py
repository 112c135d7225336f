"""The mocks' HTTP server, seen from bare sockets: what is understood, what is refused, and in which order answers come."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mocks.http.limits import Limits
from mocks.http.message import Reply, Request
from tests.integration.http_service import DEADLINE_S, LOOPS, Client, Served, wait_until

LIMITS = Limits(head_bytes=4096, body_bytes=8192, waiting_bytes=2048)
_LATER: list[tuple[Request, Reply]] = []


def describe(request: Request, reply: Reply) -> None:
    """Say what was understood."""
    said = {
        "method": request.method,
        "path": request.path,
        "raw_path": request.raw_path,
        "query": request.query,
        "body": request.body.decode(),
    }
    reply.send(200, json.dumps({**said, "connection": request.connection, "sequence": request.sequence}).encode(), {})


def handle(request: Request, reply: Reply) -> None:
    """One behaviour a path."""
    if request.path == "/headers":
        reply.send(200, json.dumps({k.decode(): v.decode("latin-1") for k, v in request.headers.items()}).encode(), {})
    elif request.path == "/stream":
        reply.begin(200, {"x-kind": "stream"}, "text/event-stream")
        reply.write(b"one")
        reply.write(b"t" * 3000)
        reply.end()
    elif request.path == "/later":
        _LATER.append((request, reply))
    elif request.path == "/nothing":
        reply.send(204, b"", {})
    elif request.path == "/injected":
        reply.send(200, b"", {"x-name": request.query.replace("+", "\r\nx-evil: 1")})
    elif request.path == "/raises":
        raise LookupError("a handler's own mistake")
    elif request.path == "/raises-later":
        reply.at(reply.now(), partial(_raise, reply))
    elif request.path == "/raises-late":
        reply.begin(200, {}, "text/plain")
        reply.write(b"some")
        reply.at(reply.now(), partial(_raise, reply))
    else:
        describe(request, reply)


def _raise(reply: Reply) -> None:
    raise LookupError("a callback's own mistake")


@pytest.fixture(params=list(LOOPS))
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    _LATER.clear()
    with Served(handle, request.param, LIMITS) as served:
        yield served


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    with served.client() as client:
        yield client


def body_of(client: Client) -> dict[str, object]:
    status, _, body = client.answer()
    assert status == 200
    return dict(json.loads(body))


def test_a_connection_is_kept_and_requests_are_counted_on_it(served: Served, client: Client) -> None:
    first = body_of(client.get("/a%20b/%E2%82%AC?x=1&y=%20"))
    second = body_of(client.get(method="POST", body=b"hello"))
    with served.client() as other:
        third = body_of(other.get())
    assert first == {
        "method": "GET",
        "path": "/a b/€",
        "raw_path": "/a%20b/%E2%82%AC",
        "query": "x=1&y=%20",
        "body": "",
        "connection": 1,
        "sequence": 1,
    }
    assert second == {"method": "POST", "path": "/", "raw_path": "/", "query": "", "body": "hello", "connection": 1, "sequence": 2}
    assert (third["connection"], third["sequence"]) == (2, 1)


def test_an_answer_byte_by_byte(client: Client) -> None:
    client.get("/nothing").get("/stream")
    date = client.until(b"\r\n\r\n").removeprefix(b"HTTP/1.1 204 No Content\r\n").removesuffix(b"\r\n\r\n")
    assert date.startswith(b"date: ")
    assert client.until(b"\r\n\r\n") == (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n" + date + b"\r\nx-kind: stream\r\n\r\n"
    )
    assert client.until(b"\r\n0\r\n\r\n") == b"3\r\none\r\nbb8\r\n" + b"t" * 3000 + b"\r\n0\r\n\r\n"


def test_repeated_headers_are_joined_and_names_are_lower_case(client: Client) -> None:
    client.get("/headers", "X-Thing: a", "x-thing:  b ", "X-Other: \xe9")
    assert body_of(client) == {"host": "test", "x-thing": "a, b", "x-other": "é"}


def test_an_absolute_target_is_its_path(client: Client) -> None:
    assert body_of(client.get("http://test/v1/models?x"))["path"] == "/v1/models"
    assert body_of(client.get("http://test"))["path"] == "/"
    assert body_of(client.get("*", method="OPTIONS"))["path"] == "*"


@pytest.mark.parametrize("pieces", ["whole", "bytes"])
def test_a_chunked_body_with_trailers(client: Client, pieces: str) -> None:
    data = b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
    data += b"5;x=1\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\nHost: trailer\r\nX: y\r\n\r\n"
    for piece in [data] if pieces == "whole" else [data[i : i + 1] for i in range(len(data))]:
        client.send(piece)
    assert body_of(client)["body"] == "hello world"
    assert body_of(client.get("/next"))["sequence"] == 2


def test_pipelined_requests_are_answered_in_order_one_at_a_time(served: Served, client: Client) -> None:
    client.get("/later").get("/later?2").get("/later?3")
    client.send(b"GET /fourth HTTP/1.1\r\nHo")
    for number in range(1, 4):
        wait_until(lambda: len(_LATER) == number)  # noqa: B023 (called before the loop goes on)
        assert client.silent(0.02)
        assert len(_LATER) == number
        request, reply = _LATER[-1]
        assert request.sequence == number
        served.call(partial(describe, request, reply))
        assert body_of(client)["sequence"] == number
    client.send(b"st: t\r\n\r\n")
    assert body_of(client)["path"] == "/fourth"


def test_hundreds_of_pipelined_requests(client: Client) -> None:
    sending = threading.Thread(
        target=client.send, args=(b"GET /nothing HTTP/1.1\r\nHost: t\r\n\r\nGET / HTTP/1.1\r\nHost: t\r\n\r\n" * 2000,)
    )
    sending.start()
    for number in range(2000):
        assert client.head()[0] == 204
        assert body_of(client)["sequence"] == 2 * number + 2
    sending.join(DEADLINE_S)


def test_more_than_is_kept_ahead_is_answered_too(served: Served, client: Client) -> None:
    client.get("/later")
    wait_until(lambda: len(_LATER) == 1)
    for _ in range(100):
        client.get("/" + "x" * 100)
    request, reply = _LATER[0]
    served.call(partial(describe, request, reply))
    assert [body_of(client)["sequence"] for _ in range(101)] == list(range(1, 102))


def test_expect_100_continue(client: Client) -> None:
    client.get("/", "Expect: 100-continue", "Content-Length: 3", method="PUT")
    assert client.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert body_of(client.send(b"abc"))["body"] == "abc"
    # A body that is there already is not asked for.
    assert body_of(client.get("/", "Expect: 100-continue", method="PUT", body=b"abc"))["body"] == "abc"
    # Nor is one that is refused.
    client.get("/", "Expect: 100-continue", "Content-Length: 9999", method="PUT")
    assert client.answer()[0] == 413


def test_head_has_the_headers_of_get_and_no_body(client: Client) -> None:
    client.get("/headers", method="HEAD").get("/stream", method="HEAD").get("/last")
    status, headers = client.head()
    assert (status, int(headers["content-length"]) > 0) == (200, True)
    status, headers = client.head()
    assert (status, headers["transfer-encoding"]) == (200, "chunked")
    assert body_of(client)["path"] == "/last"


def test_http_1_0_closes_unless_asked_to_keep(client: Client, served: Served) -> None:
    client.get("/", "Connection: keep-alive", version="1.0")
    assert client.answer()[1]["connection"] == "keep-alive"
    client.get("/", version="1.0")
    status, headers, _ = client.answer()
    assert (status, headers["connection"], client.rest()) == (200, "close", (b"", "eof"))
    with served.client() as other:  # no chunks: the body ends with the connection
        status, headers = other.get("/stream", "Connection: keep-alive", version="1.0").head()
        assert (status, headers["connection"], "transfer-encoding" in headers) == (200, "close", False)
        assert other.rest() == (b"one" + b"t" * 3000, "eof")


def test_connection_close_ends_the_connection_and_what_was_sent_after_it_is_dropped(client: Client) -> None:
    client.get("/", "Connection: close").get("/never")
    status, headers, body = client.answer()
    assert (status, headers["connection"], json.loads(body)["sequence"]) == (200, "close", 1)
    assert client.rest() == (b"", "eof")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_offer_to_switch_protocols_is_passed_over(client: Client, method: str) -> None:
    client.get("/a", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk", method=method, body=b"body")
    client.get("/b", "Upgrade: websocket", "Connection: upgrade").get("/c")
    answers = [body_of(client) for _ in range(3)]
    assert [(one["path"], one["body"], one["sequence"]) for one in answers] == [("/a", "body", 1), ("/b", "", 2), ("/c", "", 3)]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),  # no host
        (b"GET / HTTP/1.1\r\nHost: t\r\nbad header\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: t\r\nContent-Length: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nZ\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),  # TLS
        (b"CONNECT test:443 HTTP/1.1\r\nHost: test:443\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 8193\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n2001\r\n" + b"x" * 0x2001, 413),
        (b"GET /" + b"x" * 4096 + b" HTTP/1.1\r\nHost: t\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: t\r\nX: " + b"x" * 5000, 431),  # the header does not even end
        (b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"x" * 600_000, 431),  # a trailer that does not end
    ],
)
@pytest.mark.parametrize("after", [False, True])
def test_what_cannot_be_served_is_refused_and_the_connection_closed(
    served: Served, client: Client, data: bytes, status: int, after: bool
) -> None:
    if after:
        client.get("/later")
        wait_until(lambda: len(_LATER) == 1)
    with suppress(ConnectionError):  # the server may be through with us before everything is sent
        client.send(data)
    if after:
        request, reply = _LATER[0]
        served.call(partial(describe, request, reply))
        assert body_of(client)["sequence"] == 1
    got, headers, body = client.answer()
    assert (got, headers["connection"], headers["content-type"]) == (status, "close", "application/json")
    assert set(json.loads(body)["error"]) == {"type", "message"}
    assert client.rest() == (b"", "eof")


def test_limits_are_not_refused_themselves(client: Client) -> None:
    head = b"GET / HTTP/1.1\r\nHost: t\r\nX: \r\n\r\n"
    for step in (4096, 100):
        data = head.replace(b"X: ", b"X: " + b"x" * (4096 - len(head)))
        for start in range(0, len(data), step):
            client.send(data[start : start + step])
        assert client.answer()[0] == 200
    assert len(str(body_of(client.get("/", method="POST", body=b"x" * 8192))["body"])) == 8192


def test_a_body_of_many_megabytes(served: Served) -> None:
    with Served(handle, "uvloop") as larger, larger.client() as client:
        data = b"x" * (9 << 20)
        sending = threading.Thread(target=client.get, kwargs={"path": "/", "method": "POST", "body": data})
        sending.start()
        assert body_of(client)["body"] == data.decode()
        sending.join(DEADLINE_S)


@pytest.mark.parametrize("loop", LOOPS)
def test_patience_with_clients(loop: str) -> None:
    with Served(handle, loop, Limits(request_s=0.2, idle_s=1.5, linger_s=0.2)) as served, served.client() as waiting:
        waiting.get("/later")
        with served.client() as client:
            client.send(b"GET / HTT")
            assert (client.answer()[0], client.rest()) == (408, (b"", "eof"))
        with served.client() as client:
            assert client.get().answer()[0] == 200
            assert client.silent(0.2)
            assert client.rest() == (b"", "eof")
        assert waiting.silent(0.1)  # who waits for an answer may wait for ever


def test_a_client_that_does_not_close_after_our_fin_is_dropped() -> None:
    with Served(handle, "uvloop", Limits(linger_s=0.1)) as served, served.client() as client:
        client.get("/", "Connection: close")
        assert client.answer()[0] == 200
        assert client.rest() == (b"", "eof")
        wait_until(lambda: served.server.connections == 0)


@pytest.mark.parametrize("loop", LOOPS)
def test_every_address_of_a_host_on_one_port(loop: str) -> None:
    with Served(handle, loop, host="") as served:
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            with Client((address, served.port), family) as client:
                assert client.get().answer()[0] == 200


def test_a_header_cannot_be_injected(client: Client, capfd: pytest.CaptureFixture[str]) -> None:
    status, headers, _ = client.get("/injected?a+b").answer()
    assert (status, "x-evil" in headers) == (500, False)
    assert body_of(client.get("/next"))["sequence"] == 2
    assert "control characters in a header's value" in capfd.readouterr().err


@pytest.mark.parametrize("path", ["/raises", "/raises-later"])
def test_a_mistake_of_the_handler_is_a_500_and_the_connection_survives(
    client: Client, path: str, capfd: pytest.CaptureFixture[str]
) -> None:
    status, _, body = client.get(path).get("/next").answer()
    assert (status, json.loads(body)["error"]["type"]) == (500, "internal_error")
    assert body_of(client)["sequence"] == 2
    assert "LookupError" in capfd.readouterr().err


@pytest.mark.parametrize("path", ["/raises", "/raises-later"])
def test_a_mistake_is_a_500_although_nobody_reads_what_is_said_about_it(
    client: Client, path: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with (tmp_path / "stderr").open("w") as closed:
        pass
    monkeypatch.setattr("sys.stderr", closed)
    assert client.get(path).get("/next").answer()[0] == 500
    assert body_of(client)["sequence"] == 2


def test_a_mistake_in_the_middle_of_an_answer_cuts_it(client: Client, capfd: pytest.CaptureFixture[str]) -> None:
    client.get("/raises-late")
    assert client.head()[0] == 200
    assert client.rest() == (b"4\r\nsome\r\n", "reset")
    assert "LookupError" in capfd.readouterr().err


_PIECES = st.sampled_from(
    [
        *(
            b"GET ",
            b"POST ",
            b"/x",
            b" HTTP/1.1",
            b" HTTP/1.0",
            b"\r\n",
            b"\r\n\r\n",
            b"Host: t\r\n",
            b"abc",
            b"\x00",
            b":",
            b"CONNECT a:1",
        ),
        *(b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"3\r\nabc\r\n", b"0\r\n\r\n", b"Connection: close\r\n"),
        *(b"Expect: 100-continue\r\n", b"Connection: upgrade\r\nUpgrade: h2c\r\n", b"GET / HTTP/1.1\r\nHost: t\r\n\r\n"),
    ]
)


@pytest.fixture(scope="module", params=list(LOOPS))
def lasting(request: pytest.FixtureRequest) -> Iterator[Served]:
    with Served(describe, request.param, LIMITS) as served:
        yield served


@given(st.lists(st.lists(_PIECES | st.binary(max_size=20), max_size=12), max_size=3))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_garbage_neither_stops_nor_hangs_the_server(lasting: Served, sends: list[list[bytes]]) -> None:
    with lasting.client() as client, suppress(ConnectionError):
        for pieces in sends:
            client.send(b"".join(pieces))
        client.socket.shutdown(socket.SHUT_WR)
        data, _ = client.rest()
        assert not data or data.startswith(b"HTTP/1.1 ")
        assert b" 500 " not in data
    with lasting.client() as client:
        assert client.get().answer()[0] == 200
    wait_until(lambda: lasting.server.connections == 0)
