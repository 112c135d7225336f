"""Scrapes are concurrent and bounded, whatever the targets do."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from harness.record.clock import SystemClock
from harness.stack.ports import free_ports
from harness.telemetry.scraper import Scraper, Target

Answer = Callable[[socket.socket], None]


@contextmanager
def listening(answer: Answer, port: int = 0) -> Iterator[int]:
    """A TCP server; `answer` is called for each request of each connection until it raises OSError."""
    server = socket.create_server(("127.0.0.1", port))
    open_sockets = [server]

    def connection(sock: socket.socket) -> None:
        with sock, suppress(OSError):
            while sock.recv(65536):
                answer(sock)

    def accept() -> None:
        while True:
            try:
                sock, _ = server.accept()
            except OSError:
                return
            open_sockets.append(sock)
            threads.append(threading.Thread(target=connection, args=(sock,)))
            threads[-1].start()

    threads = [threading.Thread(target=accept)]
    threads[0].start()
    try:
        yield server.getsockname()[1]
    finally:
        for sock in open_sockets:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in threads:
            thread.join(60)


def metrics(body: str, status: int = 200) -> Answer:
    return lambda sock: sock.sendall(f"HTTP/1.1 {status} -\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode())


def silent(sock: socket.socket) -> None:
    """Accepts and never answers."""


def dripping(sock: socket.socket) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
    while not stopped.wait(0.02):
        sock.sendall(b"#")


stopped = threading.Event()
TIMEOUT_S = 2.0  # in which whoever answers does so on a busy machine, too


def target(port: int, name: str = "a-1") -> Target:
    return Target(name, f"http://127.0.0.1:{port}/metrics")


def test_results_come_in_the_order_of_the_targets_with_the_reason_of_each_failure() -> None:
    clock = SystemClock()
    with (
        listening(metrics("up 1\n")) as good,
        listening(metrics("no", 503)) as refusing,
        listening(silent) as hanging,
        listening(dripping) as drip,
        listening(metrics("<html>")) as strange,
    ):
        ports = [good, refusing, hanging, drip, strange, *free_ports(1)]
        with Scraper([target(port, f"t-{i}") for i, port in enumerate(ports)], clock, timeout_s=TIMEOUT_S) as scraper:
            begun_ns = clock.now_ns()
            results = scraper.scrape()
            took_s = (clock.now_ns() - begun_ns) / 1e9
    assert [r.target.name for r in results] == ["t-0", "t-1", "t-2", "t-3", "t-4", "t-5"]
    assert results[0].samples == [("up", {}, 1.0)]
    assert [r.error is None for r in results] == [True, False, False, False, False, False]
    assert results[1].error == "HTTP 503"
    assert "answer" in (results[2].error or "") or "timed out" in (results[2].error or "")
    assert "ParseError" in (results[4].error or "")
    assert "Refused" in (results[5].error or "")
    assert took_s < 2 * TIMEOUT_S, "who hangs and who drips are waited for together"


def test_nobody_who_accepts_is_told_from_nobody_who_answers() -> None:
    with socket.socket() as full, listening(silent) as hanging:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(3)]  # more than the kernel keeps for it: it drops what else comes
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        with Scraper([target(full.getsockname()[1], "t-0"), target(hanging, "t-1")], SystemClock(), timeout_s=0.4) as scraper:
            results = scraper.scrape()
        for one in waiting:
            one.close()
    assert "no connection within 0.4s" in (results[0].error or "")
    assert "no connection" not in (results[1].error or "")


def test_a_kept_connection_that_died_is_replaced_by_a_new_one() -> None:
    with listening(metrics("up 1\n")) as port:
        scraper = Scraper([target(port)], SystemClock())
        assert scraper.scrape()[0].samples == [("up", {}, 1.0)]
    with scraper, listening(metrics("up 2\n"), port):
        assert scraper.scrape()[0].samples == [("up", {}, 2.0)]


def test_a_target_that_hung_is_scraped_again_once_it_answers() -> None:
    answers = iter([silent, metrics("up 1\n")])
    with listening(lambda sock: next(answers)(sock)) as port, Scraper([target(port)], SystemClock(), timeout_s=TIMEOUT_S / 2) as scraper:
        assert scraper.scrape()[0].error is not None
        assert scraper.scrape()[0].samples == [("up", {}, 1.0)]


def test_no_targets_give_no_results() -> None:
    with Scraper([], SystemClock()) as scraper:
        assert scraper.scrape() == []


def test_a_target_of_an_external_stack_may_be_https() -> None:
    """What greets it here is no TLS: the answer says so, and nobody else's scrape is lost."""
    with listening(metrics("up 1\n")) as port:
        targets = [Target("tls", f"https://127.0.0.1:{port}/metrics"), Target("plain", f"http://127.0.0.1:{port}/metrics")]
        with Scraper(targets, SystemClock()) as scraper:
            tls, plain = scraper.scrape()
    assert (tls.samples, (tls.error or "").partition(":")[0]) == ((), "SSLError")
    assert (plain.samples, plain.error) == ([("up", {}, 1.0)], None)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/metrics", "127.0.0.1:80", "http:///metrics"])
def test_a_target_is_an_http_or_https_url(url: str) -> None:
    with pytest.raises(ValueError, match="http or https"):
        Scraper([Target("a", url)], SystemClock())
