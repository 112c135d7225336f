"""The gateway as a process: streams unbuffered, orderly end, JSON logs."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.integration.backends import Valkey, wait_until
from tests.integration.services import Reply, ServiceProcess, StandIn, write_registry
from tests.integration.test_gateway import SECRET, STREAM, WIDE, bearer, write_keys
from tests.integration.wire import Connection

pytestmark = [pytest.mark.e2e, pytest.mark.beside]


@pytest.fixture
def query() -> Iterator[StandIn]:
    stand_in = StandIn({"/ask": lambda _body: Reply({"answer": "42"})})
    yield stand_in
    stand_in.close()


@pytest.fixture
def gateway(tmp_path: Path, valkey: Valkey, query: StandIn) -> Iterator[ServiceProcess]:
    keys = tmp_path / "keys.json"
    write_keys(keys, {"test": WIDE}, "alice")
    environment = {
        "REDIS_URL": valkey.url,
        "KEYS_FILE": str(keys),
        "JWT_SECRET": SECRET,
        "REGISTRY_FILE": str(write_registry(tmp_path / "registry.json", {"query": [query.url], "document": [query.url]})),
    }
    process = ServiceProcess("gateway", environment, tmp_path / "gateway.log")
    try:
        process.start()
        yield process
    finally:
        process.close()


def test_stream_arrives_while_it_is_made(gateway: ServiceProcess, query: StandIn) -> None:
    first_seen = threading.Event()

    def chunks() -> Iterator[bytes]:
        yield STREAM[0]
        # Only a client that got the first chunk lets the second one out.
        assert first_seen.wait(60), "the first chunk was held back"
        yield from STREAM[1:]

    query.answers["/ask"] = lambda _body: Reply(chunks=chunks(), headers={"content-type": "text/event-stream"})
    received = b""
    with gateway.http.stream("POST", "/api/ask", json={"question": "?", "stream": True}, headers=bearer("secret-alice")) as answer:
        for chunk in answer.iter_raw():
            received += chunk
            first_seen.set()
    assert received == b"".join(STREAM)
    assert gateway.metric("rag_client_requests_total", callee="query", outcome="ok") == 1


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_before_the_answer_ends_the_work(gateway: ServiceProcess, query: StandIn, stream: bool) -> None:
    asked, released = threading.Event(), threading.Event()

    def held(_body: object) -> Reply:
        asked.set()
        assert released.wait(100)
        return Reply({"answer": "42"})

    query.answers["/ask"] = held
    try:
        with Connection(gateway.port) as leaving:
            leaving.start("/api/ask", {"question": "?", "stream": stream}, bearer("secret-alice"))
            assert asked.wait(60)
        wait_until(lambda: gateway.metric("rag_client_requests_in_progress", callee="query") == 0, "query is let go")
        wait_until(lambda: gateway.metric("rag_requests_total", route="/api/ask", status="499") == 1, "the request has ended")
    finally:
        released.set()


def test_finishes_what_is_in_flight_and_exits_cleanly(gateway: ServiceProcess, query: StandIn) -> None:
    arrived, released = threading.Event(), threading.Event()

    def slow(_body: object) -> Reply:
        arrived.set()
        assert released.wait(100)
        return Reply({"answer": "42"})

    query.answers["/ask"] = slow
    headers = {**bearer("secret-alice"), "x-request-id": "in-flight"}
    with ThreadPoolExecutor(2) as pool:
        answer = pool.submit(gateway.http.post, "/api/ask", json={"question": "?"}, headers=headers)
        assert arrived.wait(60)
        code = pool.submit(gateway.stop)
        wait_until(lambda: not _accepts(gateway), "no new connections")
        released.set()
        assert (answer.result().status_code, code.result()) == (200, 0)
    lines = [json.loads(line) for line in gateway.log.read_text().splitlines()]
    (line,) = [line for line in lines if line["event"] == "request"]
    expected = {
        "level": "info",
        "service": "gateway",
        "instance": "gateway-1",
        "request_id": "in-flight",
        "route": "/api/ask",
        "status": 200,
    }
    assert {name: line[name] for name in expected} == expected
    assert line["ts"].endswith("Z")
    assert {"trace_id", "span_id", "parent_id", "duration_ms", "self_ms"} <= line.keys()
    assert line["self_ms"] < line["duration_ms"]


def _accepts(process: ServiceProcess) -> bool:
    try:
        socket.create_connection(("127.0.0.1", process.port), timeout=1).close()
    except ConnectionRefusedError:
        return False
    return True
