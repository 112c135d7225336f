"""The proxy as a program, between real sockets."""

from __future__ import annotations

import http.client
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from harness.faults.admin_client import call
from harness.faults.base import FaultError
from harness.stack.base import AdminApi
from tests.e2e.proxy_rig import TIMEOUT_S, TOKEN, Proxy, Upstream, echo, receive, round_trip_s, start, stop
from tests.integration.backends import free_port

pytestmark = pytest.mark.e2e

SLACK_S = 0.15  # of a busy machine; how exact delays are is measured by tests/benchmarks/proxy.py


@pytest.fixture(scope="module")
def server() -> Iterator[Upstream]:
    upstream = Upstream(echo)
    yield upstream
    upstream.stop()


@pytest.fixture(scope="module")
def shared(server: Upstream) -> Iterator[Proxy]:
    proxy = start(server.port)
    yield proxy
    assert stop(proxy) == 0


@pytest.fixture
def proxy(shared: Proxy) -> Iterator[Proxy]:
    yield shared
    call(shared.admin, "DELETE", "/faults")


def is_quick(connection: socket.socket) -> bool:
    """One of some round trips is: the others may have had a busy machine in their way."""
    return any(round_trip_s(connection) < SLACK_S for _ in range(20))


def send_all_and_end(connection: socket.socket, data: bytes) -> None:
    connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)


def test_without_faults_it_is_transparent(proxy: Proxy, server: Upstream) -> None:
    with proxy.connect() as through, socket.create_connection(("127.0.0.1", server.port), timeout=TIMEOUT_S) as direct:
        added_s = statistics.median(round_trip_s(through) for _ in range(200)) - statistics.median(round_trip_s(direct) for _ in range(200))
    assert added_s < 0.003  # 0.05 ms on a quiet machine
    assert call(proxy.admin, "GET", "/faults") == {"faults": []}


def test_a_hundred_milliseconds_are_a_hundred_milliseconds(proxy: Proxy) -> None:
    proxy.put("slow", delay_s=0.1, direction="downstream")
    with proxy.connect() as connection:
        times = [round_trip_s(connection) for _ in range(8)]
    assert 0.1 <= min(times) < 0.1 + SLACK_S


def test_both_directions_are_delayed_once_each(proxy: Proxy) -> None:
    proxy.put("slow", delay_s=0.05)
    with proxy.connect() as connection:
        assert 0.1 <= min(round_trip_s(connection) for _ in range(8)) < 0.1 + SLACK_S


def test_a_connection_that_is_open_already_feels_it_and_is_freed_again(proxy: Proxy) -> None:
    with proxy.connect() as connection:
        assert is_quick(connection)
        proxy.put("slow", delay_s=0.2, direction="upstream")
        assert round_trip_s(connection) >= 0.2
        call(proxy.admin, "DELETE", "/faults/slow")
        assert is_quick(connection)


def test_bytes_held_back_leave_at_once_when_the_fault_is_taken_away(proxy: Proxy) -> None:
    with proxy.connect() as connection:
        proxy.put("slow", delay_s=60)
        started_s = time.monotonic()
        connection.sendall(b"ping")
        while call(proxy.admin, "GET", "/faults")["faults"][0]["chunks"] < 1:
            assert time.monotonic() - started_s < TIMEOUT_S
        call(proxy.admin, "DELETE", "/faults/slow")
        assert receive(connection, 4) == b"ping"
        assert time.monotonic() - started_s < TIMEOUT_S


def test_a_long_transfer_arrives_whole_in_order_delayed_but_not_throttled(proxy: Proxy) -> None:
    proxy.put("slow", delay_s=0.3, jitter_s=0.1)
    data = bytes(range(256)) * 40_000  # 10 MB: one chunk at a time would take minutes
    with proxy.connect() as connection:
        started_s = time.monotonic()
        sender = threading.Thread(target=send_all_and_end, args=(connection, data))
        sender.start()
        parts = []
        while part := connection.recv(1 << 20):  # the FIN comes behind the last byte
            parts.append(part)
        sender.join()
        took_s = time.monotonic() - started_s
    assert b"".join(parts) == data
    assert 0.4 <= took_s < TIMEOUT_S


def test_one_direction_may_end_while_the_other_goes_on() -> None:
    def answer_after_the_end(connection: socket.socket) -> None:
        asked = b""
        while part := connection.recv(100):
            asked += part
        connection.sendall(b"you said " + asked)

    upstream = Upstream(answer_after_the_end)
    proxy = start(upstream.port)
    try:
        proxy.put("slow", delay_s=0.1)
        with proxy.connect() as connection:
            connection.sendall(b"hello")
            connection.shutdown(socket.SHUT_WR)
            assert receive(connection, 14) == b"you said hello"
            assert connection.recv(1) == b""
    finally:
        assert stop(proxy) == 0
        upstream.stop()


def test_a_reset_travels_on_behind_the_bytes() -> None:
    def reset(connection: socket.socket) -> None:
        connection.recv(4)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    upstream = Upstream(reset)
    proxy = start(upstream.port)
    try:
        with proxy.connect() as connection:
            connection.sendall(b"ping")
            with pytest.raises(ConnectionResetError):
                connection.recv(1)
    finally:
        assert stop(proxy) == 0
        upstream.stop()


def test_an_upstream_that_is_down_resets_its_clients_and_is_found_again_when_it_is_up() -> None:
    port = free_port()
    proxy = start(port)
    try:
        with pytest.raises(ConnectionResetError), proxy.connect() as connection:  # perhaps before we know that we were connected
            connection.recv(1)
        assert call(proxy.admin, "GET", "/status")["refused"] == 1
        with socket.create_server(("127.0.0.1", port)) as back, proxy.connect() as connection:
            connection.sendall(b"x")
            accepted, _ = back.accept()
            with accepted:
                assert accepted.recv(1) == b"x"
    finally:
        assert stop(proxy) == 0


def test_a_fault_with_a_ttl_ends_by_itself(proxy: Proxy) -> None:
    with proxy.connect() as connection:
        proxy.put("short", delay_s=0.2, ttl_s=1.0)
        assert round_trip_s(connection) >= 0.2
        deadline_s = time.monotonic() + TIMEOUT_S
        while call(proxy.admin, "GET", "/faults")["faults"]:
            assert time.monotonic() < deadline_s
        assert is_quick(connection)


def test_it_counts_what_it_touches(proxy: Proxy) -> None:
    before = call(proxy.admin, "GET", "/status")
    proxy.put("slow", delay_s=0.01, direction="downstream")
    with proxy.connect() as connection:
        round_trip_s(connection)
        round_trip_s(connection)
        entry = call(proxy.admin, "GET", "/faults")["faults"][0]
    after = call(proxy.admin, "GET", "/status")
    assert (entry["chunks"], entry["bytes"]) == (2, 8)
    assert (after["connections"] - before["connections"], after["refused"], entry["connections"]) == (1, 0, 1)


@pytest.mark.parametrize(
    ("method", "path", "body", "says"),
    [
        ("PUT", "/faults/a", {"type": "nonsense"}, "400 .*type must be one of"),
        ("PUT", "/faults/a", {"type": "latency", "delay_s": "x"}, "400 .*must be a number"),
        ("PUT", "/faults/bad%20id", {"type": "latency", "delay_s": 1}, "404"),
        ("GET", "/nowhere", None, "404"),
        ("POST", "/faults", {}, "404"),
    ],
)
def test_what_cannot_be_done_is_refused(proxy: Proxy, method: str, path: str, body: dict[str, Any] | None, says: str) -> None:
    with pytest.raises(FaultError, match=says):
        call(proxy.admin, method, path, body)
    assert call(proxy.admin, "GET", "/faults") == {"faults": []}


def test_without_the_token_nothing_is_said(proxy: Proxy) -> None:
    with pytest.raises(FaultError, match="401"):
        call(AdminApi(proxy.admin.url, "wrong"), "GET", "/status")


def test_a_request_that_is_none_is_refused_and_the_next_one_served(proxy: Proxy) -> None:
    port = int(proxy.admin.url.rpartition(":")[2])
    for garbage in (
        b"\r\n\r\n",
        b"PUT /faults/a HTTP/1.1\r\ncontent-length: 99999999\r\n\r\n",
        b"PUT /faults/a HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as connection:
            connection.sendall(garbage)
            assert connection.recv(12) in (b"HTTP/1.1 400", b"HTTP/1.1 413")
    connection_to_admin = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    connection_to_admin.request("PUT", "/faults/a", "{", {"authorization": f"Bearer {TOKEN}"})
    assert connection_to_admin.getresponse().status == 400
    connection_to_admin.close()
    assert call(proxy.admin, "GET", "/faults") == {"faults": []}


def test_the_command_line_says_what_is_missing() -> None:
    argv = [sys.executable, "-m", "harness.faults.proxy", "--listen", "127.0.0.1:0", "--upstream", "nowhere", "--admin", "127.0.0.1:0"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 2
    assert "'nowhere' is no host:port" in done.stderr
