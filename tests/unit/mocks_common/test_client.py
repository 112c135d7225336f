"""The service client against scripted servers: retries, health, circuit breaker, streams, telemetry."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from mocks.rag.common import balancer as balancer_module
from mocks.rag.common import context
from mocks.rag.common.breaker import CircuitBreaker
from mocks.rag.common.client import ServiceClient
from mocks.rag.common.errors import ApiError, UpstreamError
from mocks.rag.common.registry import Registry
from mocks.rag.common.retry import RetryBudget
from tests.unit.mocks_common.stub_server import Exchange, Handler, StubServer, answer_ok, answering, hang_up, never, until, write_registry

_NUMBERS = itertools.count(1)


@pytest.fixture
def callee() -> str:
    """A name of its own per test, because metrics are global."""
    return f"callee{next(_NUMBERS)}"


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 60))


@asynccontextmanager
async def client_of(tmp_path: Path, callee: str, *servers: StubServer, **options: Any) -> AsyncIterator[ServiceClient]:
    path = tmp_path / "registry.json"
    write_registry(path, {callee: [server.url for server in servers]}, balancing={callee: "round_robin"})
    client = ServiceClient(callee, Registry(path), **{"timeout_s": 2.0, **options})
    try:
        yield client
    finally:
        await client.close()


def outcomes(callee: str) -> dict[str, float]:
    """Attempts counted, by outcome."""
    words = ("ok", "timeout", "connect_error", "connection_lost", "http_4xx", "http_5xx", "rate_limited", "circuit_open", "error")
    values = {word: REGISTRY.get_sample_value("rag_client_requests_total", {"callee": callee, "outcome": word}) for word in words}
    return {word: value for word, value in values.items() if value}


def value(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


def in_turn(*handlers: Handler) -> Handler:
    """The first request goes to the first handler, and so on; the last one stays."""
    rest = list(handlers)

    async def handler(exchange: Exchange) -> None:
        await (rest.pop(0) if len(rest) > 1 else rest[0])(exchange)

    return handler


def test_says_which_service_calls(tmp_path: Path, callee: str) -> None:
    async def scenario() -> None:
        path = tmp_path / "registry.json"
        async with StubServer() as server:
            write_registry(path, {callee: [server.url]})
            client = ServiceClient(callee, Registry(path, "query"), timeout_s=2.0)
            await client.request("GET", "/x")
            await client.close()
        assert server.requests[0].headers["user-agent"] == "query"

    run(scenario)


def test_balances_and_passes_ids_on(tmp_path: Path, callee: str) -> None:
    async def scenario() -> None:
        async with StubServer() as one, StubServer() as two, client_of(tmp_path, callee, one, two) as client:
            token = context.enter(context.RequestContext("req-1", "a" * 32, "b" * 16, "c" * 16))
            for _ in range(4):
                await client.request("POST", "/x", json={"a": 1}, headers={"authorization": "Bearer k"})
            context.leave(token)
        assert (len(one.requests), len(two.requests)) == (2, 2)
        sent = one.requests[0]
        assert (sent.method, sent.path, sent.body) == ("POST", "/x", b'{"a":1}')
        assert sent.headers["x-request-id"] == "req-1"
        assert sent.headers["traceparent"] == f"00-{'a' * 32}-{'b' * 16}-01"
        assert sent.headers["authorization"] == "Bearer k"
        assert outcomes(callee) == {"ok": 4}
        assert value("rag_client_request_duration_seconds_count", callee=callee) == 4
        assert value("rag_client_requests_in_progress", callee=callee) == 0

    run(scenario)


@pytest.mark.parametrize(
    ("handler", "idempotent", "expected_status", "expected_outcomes"),
    [
        (answering(503), False, 200, {"http_5xx": 1, "ok": 1}),
        (answering(429, {"retry-after": "0.01"}), False, 200, {"rate_limited": 1, "ok": 1}),
        (answering(429, {"retry-after": "30"}), False, 429, {"rate_limited": 1}),
        (answering(429), False, 429, {"rate_limited": 1}),
        (answering(500), True, 500, {"http_5xx": 1}),
        (answering(404), True, 404, {"http_4xx": 1}),
        (answering(502), True, 200, {"http_5xx": 1, "ok": 1}),
        (answering(502), False, 502, {"http_5xx": 1}),
        (answering(504), False, 504, {"http_5xx": 1}),
        (answering(503, {"x-should-retry": "false"}), True, 503, {"http_5xx": 1}),
        (hang_up, True, 200, {"connection_lost": 1, "ok": 1}),
        (hang_up, False, None, {"connection_lost": 1}),
    ],
)
def test_what_is_tried_again(
    tmp_path: Path, callee: str, handler: Handler, idempotent: bool, expected_status: int | None, expected_outcomes: dict[str, float]
) -> None:
    async def scenario() -> None:
        async with StubServer(in_turn(handler, answer_ok)) as server, client_of(tmp_path, callee, server) as client:
            try:
                response = await client.request("POST", "/x", idempotent=idempotent)
                status: int | None = response.status_code
            except UpstreamError as error:
                status = None
                assert (error.status, error.outcome) == (502, "connection_lost")
        assert status == expected_status
        assert outcomes(callee) == expected_outcomes
        assert value("rag_client_retries_total", callee=callee) == (1 if len(expected_outcomes) > 1 else 0)

    run(scenario)


@pytest.mark.parametrize("body", [{"question": "\ud800"}, {"top_k": float("nan")}, {"top_k": float("inf")}])
def test_a_body_that_cannot_be_passed_on_is_its_author_s_fault(tmp_path: Path, callee: str, body: object) -> None:
    async def scenario() -> None:
        async with StubServer() as server, client_of(tmp_path, callee, server) as client:
            with pytest.raises(ApiError) as caught:
                await client.request("POST", "/x", json=body)
            assert (caught.value.status, caught.value.code, server.requests) == (400, "invalid_request", [])
        assert outcomes(callee) == {}

    run(scenario)


def test_timeout_is_tried_again_on_another_replica_only(tmp_path: Path, callee: str) -> None:
    async def scenario() -> None:
        async with StubServer(never) as slow, StubServer() as quick:
            async with client_of(tmp_path, callee, slow, quick, timeout_s=0.5) as client:
                assert (await client.request("GET", "/x")).status_code == 200
            async with client_of(tmp_path, callee + "alone", slow, timeout_s=0.1) as client:
                with pytest.raises(UpstreamError) as caught:
                    await client.request("GET", "/x")
        assert (caught.value.status, caught.value.code) == (504, f"{callee}alone_timeout")
        assert outcomes(callee) == {"timeout": 1, "ok": 1}
        assert outcomes(callee + "alone") == {"timeout": 1}

    run(scenario)


def test_restarted_server_costs_no_call_not_even_a_post(tmp_path: Path, callee: str) -> None:
    async def scenario() -> None:
        async with StubServer() as server, client_of(tmp_path, callee, server, attempts=1) as client:
            for _ in range(5):
                assert (await client.request("POST", "/x", idempotent=False)).status_code == 200
                await server.close()
                await server.open()
        assert outcomes(callee) == {"ok": 5}

    run(scenario)


def test_budget_ends_retries(tmp_path: Path, callee: str) -> None:
    async def scenario() -> None:
        budget = RetryBudget(share=0.0, floor_per_s=0.0, capacity=2.0)
        async with StubServer(answering(503)) as server, client_of(tmp_path, callee, server, attempts=5, budget=budget) as client:
            for _ in range(3):
                assert (await client.request("GET", "/x")).status_code == 503
        assert len(server.requests) == 3 + 2

    run(scenario)


def test_dead_replica_leaves_and_returns(tmp_path: Path, callee: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(balancer_module.Balancer.__init__, "__kwdefaults__", {"on_return": lambda: None, "probe_interval_s": 0.02})

    async def scenario() -> None:
        async with StubServer() as dead, StubServer() as alive, client_of(tmp_path, callee, dead, alive) as client:
            await dead.close()
            for _ in range(8):
                assert (await client.request("POST", "/x", idempotent=False)).status_code == 200
            healthy = {"callee": callee, "instance": f"{callee}-1"}
            assert value("rag_client_instance_healthy", **healthy) == 0
            assert outcomes(callee) == {"connect_error": 3, "ok": 8}
            dead.ready = False
            await dead.open()
            await until(lambda: value("rag_client_instance_healthy", **healthy) == 0, "still out while not ready")
            dead.ready = True
            await until(lambda: value("rag_client_instance_healthy", **healthy) == 1, "back in rotation")
            await client.request("GET", "/x")
            await client.request("GET", "/x")
            assert len(dead.requests) == 1

    run(scenario)


def test_circuit_opens_and_closes_when_a_replica_is_back(tmp_path: Path, callee: str) -> None:
    async def scenario() -> None:
        breaker = CircuitBreaker(callee)
        async with StubServer(answering(500)) as server, client_of(tmp_path, callee, server, breaker=breaker) as client:
            for _ in range(5):
                assert (await client.request("GET", "/x")).status_code == 500
            with pytest.raises(UpstreamError) as caught:
                await client.request("GET", "/x")
            assert (caught.value.status, caught.value.outcome) == (503, "circuit_open")
            assert breaker.state.name == "OPEN"
            assert len(server.requests) == 5
            server.handler = answer_ok
            await until(lambda: breaker.state.name == "HALF_OPEN", "half-open after the active check")
            assert (await client.request("GET", "/x")).status_code == 200
            assert breaker.state.name == "CLOSED"
        assert outcomes(callee) == {"http_5xx": 5, "circuit_open": 1, "ok": 1}

    run(scenario)


@pytest.mark.parametrize("headers", [{"x-should-retry": "false"}, {"retry-after": "30"}])
def test_failures_behind_the_callee_do_not_open_the_circuit(tmp_path: Path, callee: str, headers: dict[str, str]) -> None:
    async def scenario() -> None:
        breaker = CircuitBreaker(callee)
        async with StubServer(answering(503, headers)) as server, client_of(tmp_path, callee, server, breaker=breaker) as client:
            for _ in range(8):
                assert (await client.request("GET", "/x")).status_code == 503
            assert breaker.state.name == "CLOSED"
            assert value("rag_client_instance_healthy", callee=callee, instance=f"{callee}-1") == 1

    run(scenario)


def test_no_instance_registered(tmp_path: Path, callee: str) -> None:
    async def scenario() -> None:
        async with client_of(tmp_path, callee) as client:
            with pytest.raises(UpstreamError, match="no instance is registered"):
                await client.request("GET", "/x")
        assert outcomes(callee) == {"connect_error": 1}

    run(scenario)


async def _stream_of(exchange: Exchange, *chunks: bytes, end: Callable[[Exchange], Awaitable[None]]) -> None:
    await exchange.start_stream()
    for chunk in chunks:
        await exchange.chunk(chunk)
    await end(exchange)


def test_stream_passes_chunks_as_they_come(tmp_path: Path, callee: str) -> None:
    async def scenario() -> None:
        second_wanted = asyncio.Event()

        async def handler(exchange: Exchange) -> None:
            await exchange.start_stream()
            await exchange.chunk(b"one")
            await second_wanted.wait()
            await exchange.chunk(b"two")
            await exchange.chunk(b"")

        async with StubServer(handler) as server, client_of(tmp_path, callee, server) as client:
            async with client.stream("POST", "/x") as answer:
                received = []
                async for chunk in answer:
                    received.append(chunk)
                    assert value("rag_client_requests_in_progress", callee=callee) == 1
                    second_wanted.set()
            assert received == [b"one", b"two"]
        assert outcomes(callee) == {"ok": 1}
        assert value("rag_client_requests_in_progress", callee=callee) == 0

    run(scenario)


def test_stream_is_retried_before_its_first_byte_only(tmp_path: Path, callee: str) -> None:
    async def break_before(exchange: Exchange) -> None:
        await _stream_of(exchange, end=hang_up)

    async def break_after(exchange: Exchange) -> None:
        await _stream_of(exchange, b"one", end=hang_up)

    async def scenario() -> None:
        handler = in_turn(break_before, break_after)
        async with StubServer(handler) as server, client_of(tmp_path, callee, server) as client:
            received = []
            with pytest.raises(UpstreamError, match="broke off"):
                async with client.stream("POST", "/x", idempotent=True) as answer:
                    async for chunk in answer:
                        received += [chunk]
            assert received == [b"one"]
            assert client.balancer.replicas[0].failures == 1
            assert client.balancer.replicas[0].in_flight == 0
        assert outcomes(callee) == {"connection_lost": 1, "ok": 1}

    run(scenario)


def test_stream_gives_error_answers_whole(tmp_path: Path, callee: str) -> None:
    async def scenario() -> None:
        async with StubServer(answering(503)) as server, client_of(tmp_path, callee, server, attempts=2) as client:
            async with client.stream("POST", "/x") as answer:
                assert (answer.status_code, await answer.read()) == (503, b"{}")
            assert client.balancer.replicas[0].in_flight == 0
        assert outcomes(callee) == {"http_5xx": 2}

    run(scenario)


def test_waiting_time_is_that_of_the_callee(tmp_path: Path, callee: str) -> None:
    async def slow(exchange: Exchange) -> None:
        await asyncio.sleep(0.1)
        await exchange.answer()

    async def scenario() -> None:
        request = context.new_context(None, None)
        context.enter(request)
        async with StubServer(slow) as server, client_of(tmp_path, callee, server) as client:
            begun_s = asyncio.get_running_loop().time()
            await asyncio.gather(*(client.request("GET", "/x") for _ in range(3)))
            took_s = asyncio.get_running_loop().time() - begun_s
        assert 0.1 <= request.waited_s <= took_s, "three calls at once waited once, not three times"

    run(scenario)


def test_giving_up_a_call_frees_its_slot(tmp_path: Path, callee: str) -> None:
    async def scenario() -> None:
        async with StubServer(never) as server, client_of(tmp_path, callee, server) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await client.request("GET", "/x")
            assert client.balancer.replicas[0].in_flight == 0
        assert outcomes(callee) == {"timeout": 1}

    run(scenario)
