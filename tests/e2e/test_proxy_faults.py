"""What each fault of the proxy does to connections that are open and to new ones, between real sockets."""

from __future__ import annotations

import http.client
import socket
import statistics
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest

from harness.faults.admin_client import call
from harness.faults.base import FaultError
from tests.e2e.proxy_rig import TIMEOUT_S, TOKEN, Proxy, Upstream, echo, receive, round_trip_s, start, stop

pytestmark = pytest.mark.e2e

SILENCE_S = 0.2
BODY = b'{"answer": "yes"}'
EVENTS = [b"data: %d\n\n" % n for n in range(5)]


def web(connection: socket.socket) -> None:
    """A server with keep-alive: JSON, or events 20 ms apart where /stream is asked for."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    asked = b""
    while data := connection.recv(65536):
        asked += data
        while b"\r\n\r\n" in asked:
            head, _, asked = asked.partition(b"\r\n\r\n")
            if head.startswith(b"GET /stream"):
                connection.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                for event in EVENTS:
                    time.sleep(0.02)  # the pace is what is tested
                    connection.sendall(b"%x\r\n%s\r\n" % (len(event), event))
                connection.sendall(b"0\r\n\r\n")
            else:
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(BODY), BODY))


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[Proxy, Proxy]]:
    echoing, serving = Upstream(echo), Upstream(web)
    proxies = start(echoing.port), start(serving.port)
    yield proxies
    assert [stop(proxy) for proxy in proxies] == [0, 0]
    echoing.stop()
    serving.stop()


@pytest.fixture
def proxy(both: tuple[Proxy, Proxy]) -> Iterator[Proxy]:
    yield both[0]
    call(both[0].admin, "DELETE", "/faults")


@pytest.fixture
def site(both: tuple[Proxy, Proxy]) -> Iterator[Proxy]:
    yield both[1]
    call(both[1].admin, "DELETE", "/faults")


def is_silent(connection: socket.socket) -> bool:
    connection.settimeout(SILENCE_S)
    try:
        connection.recv(1)
    except TimeoutError:
        return True
    finally:
        connection.settimeout(TIMEOUT_S)
    return False


@pytest.mark.parametrize("direction", ["both", "upstream", "downstream"])
def test_a_partition_silences_open_connections_keeps_what_was_sent_and_takes_no_new_ones(proxy: Proxy, direction: str) -> None:
    with proxy.connect() as connection:
        assert round_trip_s(connection) < TIMEOUT_S
        proxy.put("cut", type="partition", direction=direction)
        connection.sendall(b"ping")
        assert is_silent(connection)
        with pytest.raises(TimeoutError):
            socket.create_connection(("127.0.0.1", proxy.port), timeout=SILENCE_S)
        assert proxy.take("cut")["bytes"] == 4
        assert receive(connection, 4) == b"ping"
        with proxy.connect() as fresh:
            assert round_trip_s(fresh) < TIMEOUT_S


def test_a_blackhole_takes_connections_and_resets_in_the_end_those_that_lost_something(proxy: Proxy) -> None:
    with proxy.connect() as idle, proxy.connect() as busy:
        assert round_trip_s(idle) + round_trip_s(busy) < TIMEOUT_S
        proxy.put("hole", type="blackhole")
        with proxy.connect() as fresh:
            for connection in (busy, fresh):
                connection.sendall(b"ping")
                assert is_silent(connection)
            assert proxy.take("hole")["connections"] == 2
            for connection in (busy, fresh):
                with pytest.raises(ConnectionResetError):
                    connection.recv(1)
        assert round_trip_s(idle) < TIMEOUT_S


def test_a_reset_cuts_those_that_are_open_and_new_ones_after_some_bytes(proxy: Proxy) -> None:
    with proxy.connect() as connection:
        assert round_trip_s(connection) < TIMEOUT_S
        proxy.put("rst", type="reset", open=1, after_bytes=6, direction="downstream")
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    with proxy.connect() as fresh:
        assert round_trip_s(fresh) < TIMEOUT_S
        fresh.sendall(b"ping")
        with pytest.raises(ConnectionResetError):
            while fresh.recv(4):  # two more bytes may be read before the cut is noticed
                pass


def test_a_data_limit_closes_in_order_after_exactly_so_many_bytes(proxy: Proxy) -> None:
    proxy.put("limit", type="data_limit", after_bytes=7, direction="downstream")
    with proxy.connect() as connection:
        connection.sendall(b"0123456789")
        assert receive(connection, 10) == b"0123456"
        assert connection.recv(1) == b""


def test_a_bandwidth_holds_the_sender_back_and_loses_nothing(proxy: Proxy) -> None:
    proxy.put("thin", type="bandwidth", bytes_per_s=200_000, direction="downstream")
    data = bytes(range(256)) * 400
    with proxy.connect() as connection:
        assert round_trip_s(connection, data) >= len(data) / 200_000


def test_faults_follow_one_another_and_each_can_be_taken_away(proxy: Proxy) -> None:
    proxy.put("late", delay_s=0.05, direction="downstream")
    proxy.put("later", delay_s=0.1, direction="downstream")
    proxy.put("twice", type="duplicate", probability=1, direction="downstream")
    with proxy.connect() as connection:
        started_s = time.monotonic()
        connection.sendall(b"ping")
        assert receive(connection, 8) == b"pingping"
        assert 0.15 <= time.monotonic() - started_s < TIMEOUT_S
        proxy.take("later")
        started_s = time.monotonic()
        connection.sendall(b"pong")
        assert receive(connection, 8) == b"pongpong"
        assert 0.05 <= time.monotonic() - started_s < TIMEOUT_S


def test_what_one_fault_holds_back_still_passes_the_others_once_when_it_is_taken_away(proxy: Proxy) -> None:
    proxy.put("late", delay_s=60, direction="downstream")
    proxy.put("twice", type="duplicate", probability=1, direction="downstream")
    with proxy.connect() as connection:
        connection.sendall(b"ping")
        deadline_s = time.monotonic() + TIMEOUT_S
        while call(proxy.admin, "GET", "/faults")["faults"][0]["chunks"] < 1:
            assert time.monotonic() < deadline_s
        proxy.take("late")
        assert receive(connection, 8) == b"pingping"
        assert is_silent(connection)


def test_a_connection_that_is_open_is_joined_with_its_next_request_and_left_again(site: Proxy) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=TIMEOUT_S)

    def ask() -> tuple[int, bytes]:
        connection.request("GET", "/search")
        answer = connection.getresponse()
        return answer.status, answer.read()

    assert ask() == (200, BODY)
    site.put("no", type="status", status=503)
    assert [status for status, _ in (ask(), ask())] == [503, 503]
    assert site.take("no")["requests"] == 2
    assert ask() == (200, BODY)
    connection.close()


def test_a_ratio_is_drawn_for_each_request_of_one_connection(site: Proxy) -> None:
    site.put("some", type="status", status=500, ratio=0.5)
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=TIMEOUT_S)
    statuses = []
    for _ in range(100):
        connection.request("GET", "/search")
        answer = connection.getresponse()
        answer.read()
        statuses.append(answer.status)
    connection.close()
    assert set(statuses) == {200, 500}
    assert 25 <= statuses.count(500) <= 75
    assert site.take("some")["requests"] == statuses.count(500)


def test_events_pass_one_by_one_under_a_fault_of_http(site: Proxy) -> None:
    site.put("lean", type="header_dropped", header="content-type")

    def median_gap_s() -> float:
        connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=TIMEOUT_S)
        connection.request("GET", "/stream")
        answer = connection.getresponse()
        moments = []
        for event in EVENTS:
            assert answer.read(len(event)) == event
            moments.append(time.monotonic())
        connection.close()
        return statistics.median(after - before for before, after in pairwise(moments))

    assert any(median_gap_s() >= 0.015 for _ in range(20)), "held back in none of them, where a reader that is late finds several at once"


def test_a_body_ends_early_and_the_client_can_tell(site: Proxy) -> None:
    site.put("short", type="truncated", after_bytes=3)
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=TIMEOUT_S)
    connection.request("GET", "/search")
    with pytest.raises(http.client.IncompleteRead) as cut:
        connection.getresponse().read()
    connection.close()
    assert cut.value.partial == BODY[:3]


def test_routes_come_and_go_under_the_same_faults(proxy: Proxy) -> None:
    other = Upstream(echo)
    try:
        place = {"upstream": f"127.0.0.1:{other.port}"}
        listen = call(proxy.admin, "PUT", "/routes/other", place)["listen"]
        assert call(proxy.admin, "PUT", "/routes/other", place) == {"listen": listen}
        proxy.put("slow", delay_s=0.1, direction="downstream")
        with socket.create_connection(("127.0.0.1", int(listen.rpartition(":")[2])), timeout=TIMEOUT_S) as connection:
            assert round_trip_s(connection) >= 0.1
            call(proxy.admin, "DELETE", "/routes/other")
            assert round_trip_s(connection) >= 0.1  # those that are open go on
        assert list(call(proxy.admin, "GET", "/status")["routes"]) == ["upstream"]
    finally:
        other.stop()
    with pytest.raises(FaultError, match=r"400 .*'nowhere' is no host:port"):
        call(proxy.admin, "PUT", "/routes/other", {"upstream": "nowhere"})


def test_who_reaches_the_control_port_alone_gets_through_and_past(proxy: Proxy) -> None:
    proxy.put("slow", delay_s=0.1, direction="downstream")
    port = int(proxy.admin.url.rpartition(":")[2])
    took_s = {}
    for way in ("through", "past"):
        with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as connection:
            connection.sendall(f"CONNECT /{way}/upstream HTTP/1.1\r\nauthorization: Bearer {TOKEN}\r\n\r\n".encode())
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += connection.recv(1)
            assert head.startswith(b"HTTP/1.1 200 ")
            took_s[way] = min(round_trip_s(connection) for _ in range(5))
    assert took_s["past"] < 0.1 <= took_s["through"]
    with pytest.raises(FaultError, match="404"):
        call(proxy.admin, "CONNECT", "/through/nowhere")
