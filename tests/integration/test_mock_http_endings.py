"""The mocks' HTTP server, seen from bare sockets: how connections end, how they are refused, and what slow clients cost."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mocks.http.limits import Limits
from mocks.http.message import Reply, Request
from mocks.http.server import Server
from tests.integration.http_service import DEADLINE_S, LOOPS, Client, Served, wait_until

_ROOT = Path(__file__).parents[2]
_GONE: list[str] = []
_CALLED: list[str] = []
_CALLED_BEFORE: list[int] = []
_REPLIES: list[Reply] = []
_WRITTEN = [0]
_BLOCK = b"x" * 1000


def _pour(reply: Reply) -> None:
    """Write for ever, as fast as the client takes it."""
    while not reply.congested:
        reply.write(_BLOCK)
        _WRITTEN[0] += len(_BLOCK)
    reply.on_drained(lambda: _pour(reply))


def _endless(request: Request, reply: Reply) -> None:
    reply.begin(200, {}, "text/plain")
    reply.on_gone(lambda: _GONE.append(request.path))
    _pour(reply)


def _half(request: Request, reply: Reply) -> None:
    """Half an answer; then `?reset`, `?fin` or `?raw`."""
    reply.begin(200, {}, "text/plain")
    reply.write(b"half")
    if request.query == "raw":
        reply.raw(b"6\r\nhal")
        reply.cut("fin")
    else:
        reply.cut("reset" if request.query == "reset" else "fin")
    reply.write(b"never sent")
    reply.end()


def _half_and_later(request: Request, reply: Reply) -> None:
    reply.begin(200, {}, "text/plain")
    reply.write(b"half")
    reply.at(reply.now() + 0.03, lambda: reply.cut("reset" if request.query == "reset" else "fin"))


def _pending(request: Request, reply: Reply) -> None:
    _REPLIES.append(reply)

    def gone() -> None:
        _GONE.append(request.path)
        _CALLED_BEFORE.append(len(_CALLED))

    reply.on_gone(gone)
    if request.query:
        reply.at(reply.now() + float(request.query), lambda: _CALLED.append(request.path))


def _hang(request: Request, reply: Reply) -> None:
    reply.on_gone(lambda: _GONE.append(request.path))
    reply.hang()


def _trickle(request: Request, reply: Reply) -> None:
    data = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
    for i in range(len(data)):
        reply.at(reply.now() + 0.002 * i, lambda i=i: reply.raw(data[i : i + 1]))  # type: ignore[misc]  # the default carries the number
    reply.at(reply.now() + 0.002 * len(data), reply.end)


def _cut_next(request: Request, reply: Reply) -> None:
    reply.cut_next("reset" if request.query == "reset" else "fin")
    reply.send(200, b"fine", {}, "text/plain")


def _at_once(request: Request, reply: Reply) -> None:
    reply.cut("reset" if request.query == "reset" else "fin")


_PATHS: dict[str, Callable[[Request, Reply], None]] = {
    "/endless": _endless,
    "/half": _half,
    "/half-later": _half_and_later,
    "/pending": _pending,
    "/hang": _hang,
    "/trickle": _trickle,
    "/cut-next": _cut_next,
    "/at-once": _at_once,
    "/short": lambda request, reply: reply.send(200, b"short", {}, "text/plain", length=100),
    "/": lambda request, reply: reply.send(200, b"fine", {}, "text/plain"),
}


def handle(request: Request, reply: Reply) -> None:
    _PATHS[request.path](request, reply)


def forget() -> None:
    for noted in (_GONE, _CALLED, _CALLED_BEFORE, _REPLIES):
        noted.clear()
    _WRITTEN[0] = 0


@pytest.fixture(params=list(LOOPS))
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    forget()
    with Served(handle, request.param, Limits(linger_s=0.5)) as served:
        yield served


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    with served.client() as client:
        yield client


def get_and_more(client: Client, path: str) -> Client:
    """Send two requests at once, of which only the first is ever answered."""
    return client.send(f"GET {path} HTTP/1.1\r\nHost: t\r\n\r\nGET /never HTTP/1.1\r\nHost: t\r\n\r\n".encode())


@pytest.mark.parametrize(("how", "end"), [("reset", "reset"), ("fin", "eof")])
def test_cut_before_the_first_byte(client: Client, how: str, end: str) -> None:
    assert client.get(f"/at-once?{how}").rest() == (b"", end)


@pytest.mark.parametrize("path", ["/half", "/half-later"])
@pytest.mark.parametrize(("how", "end"), [("reset", "reset"), ("fin", "eof")])
def test_cut_in_the_middle_of_an_answer(client: Client, path: str, how: str, end: str) -> None:
    get_and_more(client, f"{path}?{how}")
    assert client.head()[0] == 200
    assert client.rest() == (b"4\r\nhalf\r\n", end)


def test_cut_in_the_middle_of_a_chunk(client: Client) -> None:
    assert client.get("/half?raw").head()[0] == 200
    assert client.rest() == (b"4\r\nhalf\r\n6\r\nhal", "eof")


def test_a_body_shorter_than_declared(client: Client) -> None:
    status, headers = get_and_more(client, "/short").head()
    assert (status, headers["content-length"], "connection" in headers) == (200, "100", False)
    assert client.rest() == (b"short", "eof")


def test_raw_bytes_are_all_there_is(client: Client) -> None:
    assert get_and_more(client, "/trickle").rest() == (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", "eof")


def test_hang_keeps_the_connection_until_the_client_leaves(served: Served, client: Client) -> None:
    get_and_more(client, "/hang")
    assert client.silent(0.2)
    client.send(b"and more that nobody reads")
    assert (client.silent(0.05), _GONE) == (True, [])
    client.close()
    wait_until(lambda: _GONE == ["/hang"] and served.server.connections == 0)


@pytest.mark.parametrize(("how", "end"), [("reset", "reset"), ("fin", "eof")])
def test_cut_next_keeps_alive_until_a_further_byte(client: Client, how: str, end: str) -> None:
    status, headers, body = client.get(f"/cut-next?{how}").answer()
    assert (status, "connection" in headers, body) == (200, False, b"fine")
    assert client.silent(0.1)
    assert client.send(b"G").rest() == (b"", end)


@pytest.mark.parametrize(("how", "end"), [("reset", "reset"), ("fin", "eof")])
@pytest.mark.parametrize("ahead", [b"GET / HTTP/1.1\r\nHost: t\r\n\r\n", b"GET /"])
def test_cut_next_with_the_further_byte_already_there(client: Client, how: str, end: str, ahead: bytes) -> None:
    client.send(f"GET /cut-next?{how} HTTP/1.1\r\nHost: t\r\n\r\n".encode() + ahead)
    assert client.answer()[2] == b"fine"
    assert client.rest() == (b"", end)


def leave(served: Served, due_s: float, how: str, ahead: int) -> None:
    """Ask, and go away before the answer, for which a timer is set."""
    with served.client() as client:
        client.get(f"/pending?{due_s}")
        for _ in range(ahead):
            client.get("/pending")
        wait_until(lambda: len(_REPLIES) == 1)
        if how == "reset":
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_until(lambda: _GONE == ["/pending"] and served.server.connections == 0)


@pytest.mark.parametrize("how", ["fin", "reset"])
@pytest.mark.parametrize("ahead", [0, 1, 100])
def test_a_client_that_leaves_is_noticed_and_its_timers_never_call(served: Served, how: str, ahead: int) -> None:
    for due_s in (0.15, 2.0, 20.0):
        forget()
        leave(served, due_s, how, ahead)
        if _CALLED_BEFORE == [0]:
            break  # else it was due before the client had left: a busy machine
    reply = _REPLIES[0]
    assert reply.gone
    # Nothing is said to nobody, and nothing complains of it.
    served.call(lambda: (reply.send(200, b"", {}), reply.write(b"x"), reply.end(), reply.cut("reset"), reply.hang(), reply.raw(b"x")))
    with served.client() as other:  # a timer that is due after the cancelled one, so that it would have called by now
        other.get(f"/pending?{due_s}")
        wait_until(lambda: bool(_CALLED))
    assert (len(_CALLED), len(_REPLIES)) == (1, 2)


def test_cancelled_timers_do_not_pile_up(served: Served) -> None:
    with served.client() as client:
        client.get("/pending")
        wait_until(lambda: len(_REPLIES) == 1)
        reply = _REPLIES[0]
        served.call(lambda: [reply.at(reply.now() + 3600, handle_nothing) for _ in range(5000)])
        assert served.call(lambda: len(served.server.timers)) >= 5000
    wait_until(lambda: served.server.connections == 0)
    assert served.call(lambda: len(served.server.timers)) <= 1024


def handle_nothing() -> None:
    raise AssertionError("never due")


def test_timers_call_in_order_and_never_early(served: Served) -> None:
    called: list[tuple[float, float]] = []
    delays_s = [0.05, 0.0, 0.0213, -1.0, 0.0214, 0.0337, 0.0001, 0.0213]
    with served.client() as client:
        client.get("/pending")
        wait_until(lambda: len(_REPLIES) == 1)
        reply = _REPLIES[0]

        def plan() -> None:
            start_s = reply.now()
            for delay_s in delays_s:
                reply.at(start_s + delay_s, lambda due_s=start_s + delay_s: called.append((due_s, reply.now())))  # type: ignore[misc]
            reply.at(start_s + 0.01, handle_nothing).cancel()

        served.call(plan)
        wait_until(lambda: len(called) == len(delays_s))
    assert [due_s for due_s, _ in called] == sorted(due_s for due_s, _ in called)
    assert all(at_s >= due_s for due_s, at_s in called)


@pytest.mark.parametrize(("host", "address"), [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("", "127.0.0.1"), ("", "::1")])
@pytest.mark.parametrize("loop", LOOPS)
def test_refused_connects_and_the_port_kept(loop: str, host: str, address: str) -> None:
    with Served(handle, loop, host=host) as served:
        family = socket.AF_INET if address == "127.0.0.1" else socket.AF_INET6
        where = (address, served.port)
        for _ in range(3):
            _REPLIES.clear()
            with Client(where, family) as idle, Client(where, family) as busy:
                assert idle.get().answer()[2] == b"fine"
                busy.get("/pending").get("/never")
                wait_until(lambda: len(_REPLIES) == 1)
                served.call(served.server.refuse)
                assert idle.rest() == (b"", "eof")
                with pytest.raises(ConnectionRefusedError):
                    Client(where, family)
                with socket.socket(family) as other, pytest.raises(OSError, match=re.escape(os.strerror(errno.EADDRINUSE))):
                    other.bind(where)
                served.call(lambda: _REPLIES[0].send(200, b"still", {}))
                status, headers, body = busy.answer()
                assert (status, headers["connection"], body) == (200, "close", b"still")
                assert busy.rest() == (b"", "eof")
            served.call(served.server.accept)
            with Client(where, family) as again:
                assert again.get().answer()[2] == b"fine"
        assert len(_REPLIES) == 1


def test_refuse_and_accept_are_idempotent_and_end_with_stop(served: Served) -> None:
    for _ in range(2):
        served.call(served.server.refuse)
        served.call(served.server.refuse)
        served.call(served.server.accept)
        served.call(served.server.accept)
    served.call(served.server.refuse)
    served.call(served.server.accept)
    served.call(served.server.refuse)  # before the loop has come round to serving
    with pytest.raises(ConnectionRefusedError):
        served.client()
    served.start_stopping(0).result(DEADLINE_S)
    served.call(served.server.accept)
    with pytest.raises(ConnectionRefusedError):
        served.client()


def test_a_client_that_does_not_read_costs_bounded_memory_and_is_served_when_it_does(served: Served) -> None:
    with served.client(receive_buffer=4096) as client:
        client.get("/endless")
        wait_until(lambda: _WRITTEN[0] > 0)
        before = _settled(lambda: _WRITTEN[0])
        assert before < 8 << 20
        assert client.head()[0] == 200
        for _ in range(before * 2 // 1005):
            assert client.exactly(1005) == b"3e8\r\n" + _BLOCK[:1000]
            assert client.exactly(2) == b"\r\n"
    wait_until(lambda: _GONE == ["/endless"])


def test_who_writes_for_ever_stops_where_the_client_has_reset_and_the_loop_has_not_said_so(served: Served) -> None:
    client_has_gone = threading.Event()

    def pour_late(request: Request, reply: Reply) -> None:
        assert client_has_gone.wait(DEADLINE_S)
        _endless(request, reply)

    _PATHS["/endless-late"] = pour_late
    try:
        with served.client() as client:
            client.get("/endless-late").socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client_has_gone.set()
        wait_until(lambda: _GONE == ["/endless-late"])
    finally:
        del _PATHS["/endless-late"]


def _settled(count: Callable[[], int]) -> int:
    """What `count` gives once it stays the same."""
    last = -1
    while last != count():
        last = count()
        time.sleep(0.1)
    return last


def test_answers_to_a_client_that_does_not_read_wait_for_it(served: Served) -> None:
    data = b"GET /short-of-nothing HTTP/1.1\r\nHost: t\r\n\r\n"
    body = b"y" * 100_000
    _PATHS["/short-of-nothing"] = lambda request, reply: (_CALLED.append(request.path), reply.send(200, body, {}))[1]
    with served.client(receive_buffer=4096) as client:
        client.send(data * 400)
        wait_until(lambda: len(_CALLED) > 0)
        assert _settled(lambda: len(_CALLED)) < 200
        for _ in range(400):
            assert client.answer()[2] == body
    del _PATHS["/short-of-nothing"]


def test_stop_completes_what_is_under_way(served: Served, client: Client) -> None:
    get_and_more(client, "/pending")
    wait_until(lambda: len(_REPLIES) == 1)
    with served.client() as idle:
        assert idle.get().answer()[0] == 200
        stopping = served.start_stopping(DEADLINE_S)
        assert idle.rest() == (b"", "eof")
    with pytest.raises(ConnectionRefusedError):
        served.client()
    assert not stopping.done()
    served.call(lambda: _REPLIES[0].send(200, b"done", {}))
    assert client.answer()[2] == b"done"
    assert client.rest() == (b"", "eof")
    stopping.result(DEADLINE_S)
    assert _GONE == []


def test_stop_cuts_what_takes_longer_than_the_grace(served: Served, client: Client) -> None:
    client.get("/pending?60")
    wait_until(lambda: len(_REPLIES) == 1)
    served.start_stopping(0.05).result(DEADLINE_S)
    assert client.rest()[0] == b""
    assert (_GONE, _CALLED, served.server.connections) == (["/pending"], [], 0)


@pytest.mark.parametrize("loop", LOOPS)
def test_refused_again_while_the_loop_is_about_to_serve(loop: str) -> None:
    async def turned(turns: int) -> int:
        server = Server(handle)
        await server.start("127.0.0.1", 0)
        troubles: list[dict[str, object]] = []
        server.loop.set_exception_handler(lambda _, trouble: troubles.append(trouble))
        server.refuse()
        server.accept()
        for _ in range(turns):
            await asyncio.sleep(0)
        server.refuse()
        await asyncio.sleep(0.01)
        assert await asyncio.to_thread(_refused, server.port)
        server.accept()
        await asyncio.sleep(0)
        assert not await asyncio.to_thread(_refused, server.port)
        await server.stop(0)
        assert troubles == []
        return server.port

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        ports = [runner.run(turned(turns)) for turns in range(4)]
        assert [port for port in ports if not _refused(port)] == []  # nobody was left listening


@pytest.mark.parametrize("loop", LOOPS)
def test_an_address_in_use_is_an_error(loop: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()

        async def start() -> None:
            await Server(handle).start("127.0.0.1", other.getsockname()[1])

        with asyncio.Runner(loop_factory=LOOPS[loop]) as runner, pytest.raises(OSError, match=re.escape(os.strerror(errno.EADDRINUSE))):
            runner.run(start())


_PROGRAM = """
import asyncio, os, signal
from mocks.http.server import Server, run

def handle(request, reply):
    reply.begin(200, {}, "text/plain")
    reply.write(b"begun")
    if request.path == "/soon":
        reply.at(reply.now() + 0.2, reply.end)

async def main():
    server = Server(handle)
    await server.start("127.0.0.1", 0)
    print(server.port, flush=True)
    await run([server], 30.0)
    os.kill(os.getpid(), signal.SIGTERM)

asyncio.run(main())
os.kill(os.getpid(), signal.SIGINT)
print("stopped", flush=True)
"""


def _refused(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


@pytest.mark.e2e
@pytest.mark.beside
@pytest.mark.parametrize(("path", "urged", "end"), [("/soon", False, b"5\r\nbegun\r\n0\r\n\r\n"), ("/never", True, b"5\r\nbegun\r\n")])
def test_run_serves_until_a_signal_and_a_second_one_ends_the_grace(path: str, urged: bool, end: bytes) -> None:
    process = subprocess.Popen([sys.executable, "-c", _PROGRAM], stdout=subprocess.PIPE, text=True, cwd=_ROOT)
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with Client(("127.0.0.1", port)) as client:
            assert client.get(path).head()[0] == 200
            process.send_signal(signal.SIGTERM)
            wait_until(lambda: _refused(port))
            if urged:
                process.send_signal(signal.SIGINT)
            assert client.rest()[0] == end
        assert process.stdout.read() == "stopped\n"
        assert process.wait(DEADLINE_S) == 0
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
