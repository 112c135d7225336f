"""The gateway in process, in front of scripted services and a real cache."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from mocks.rag.common.app import ServiceConfig
from mocks.rag.common.registry import Registry
from mocks.rag.gateway.service import GatewaySettings, create
from tests.integration.backends import Valkey, free_port
from tests.unit.mocks_common.stub_server import Exchange, StubServer, answering, until, write_registry

CONFIG = ServiceConfig("gateway", "gateway-1", "1.0.0", "127.0.0.1", 4000, None, "info")
SECRET = "test-secret-of-at-least-32-bytes!!"
ANSWER = b'{"request_id":"r","answer":"42","degraded":true,"degraded_reasons":["fallback_provider"]}'
WIDE = {"burst_per_s": 0, "per_minute": 0, "per_hour": 0}


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a cache that is late by 0.2 s is not away."""
    monkeypatch.setattr("mocks.rag.gateway.limiter.CACHE_TIMEOUT_S", 20.0)


@dataclass
class System:
    """A gateway and what is around it. `user_plan` is what the user service says."""

    http: httpx.AsyncClient
    registry: Registry
    registry_file: Path
    query: StubServer
    document: StubServer
    user: StubServer
    reports: list[dict[str, int]] = field(default_factory=list)

    async def ask(self, token: str = "secret-alice", **body: Any) -> httpx.Response:
        return await self.http.post("/api/ask", json={"question": "?", **body}, headers=bearer(token))

    def publish(self, **settings: object) -> None:
        services = {"query": [self.query.url], "document": [self.document.url], "user": [self.user.url], "llm": [self.query.url]}
        write_registry(self.registry_file, services, revision=self.registry.revision + 1, **settings)
        self.registry.reload()


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def write_keys(path: Path, plans: dict[str, dict[str, int]], *names: str) -> None:
    keys = [
        {
            "id": f"key-{name}",
            "sha256": hashlib.sha256(f"secret-{name}".encode()).hexdigest(),
            "client": name,
            "roles": ["admin"] if name == "root" else ["user"],
            "plan": "test",
        }
        for name in names
    ]
    path.write_text(json.dumps({"keys": keys, "plans": {"test": plans["test"]}}))


async def answer_query(exchange: Exchange) -> None:
    await exchange.answer(200, ANSWER, {"content-type": "application/json", "x-internal": "1"})


@asynccontextmanager
async def gateway(
    tmp_path: Path, redis_url: str, *, plan: dict[str, int] = WIDE, user_plan: dict[str, int] | None = None, token_ttl_s: int = 60
) -> AsyncIterator[System]:
    keys = tmp_path / "keys.json"
    write_keys(keys, {"test": plan}, "alice", "bob", "root")
    reports: list[dict[str, int]] = []

    async def answer_user(exchange: Exchange) -> None:
        if exchange.method == "POST":
            reports.append(json.loads(exchange.body))
        await exchange.answer(200, json.dumps({"quota": user_plan or plan}).encode())

    async with StubServer(answer_query) as query, StubServer(answering(202)) as document, StubServer(answer_user) as user:
        registry = Registry(tmp_path / "registry.json")
        settings = GatewaySettings(redis_url, keys, SECRET, token_ttl_s, ("https://app.example",))
        app = create(CONFIG, settings, registry)
        system = System(
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway"),
            registry,
            tmp_path / "registry.json",
            query,
            document,
            user,
            reports,
        )
        system.publish()
        async with system.http, app.router.lifespan_context(app):
            yield system


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 100))


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_passes_questions_on_and_answers_back(tmp_path: Path, valkey: Valkey) -> None:
    async def scenario() -> None:
        async with gateway(tmp_path, valkey.url) as system:
            answer = await system.http.post(
                "/api/ask", json={"question": "?", "top_k": 3}, headers={**bearer("secret-alice"), "x-request-id": "abc"}
            )
            assert (answer.status_code, answer.content) == (200, ANSWER)
            assert "x-internal" not in answer.headers
            (sent,) = system.query.requests
            assert (sent.method, sent.path, json.loads(sent.body)) == ("POST", "/ask", {"question": "?", "top_k": 3})
            assert sent.headers["x-request-id"] == "abc"
            assert "authorization" not in sent.headers
            assert (await system.http.post("/api/search", json={"query": "?"}, headers=bearer("secret-bob"))).status_code == 200
            assert system.query.requests[1].path == "/search"
            stored = await system.http.post("/api/documents", json={"title": "t", "text": "x"}, headers=bearer("secret-bob"))
            assert stored.status_code == 202
            await system.http.get("/api/documents/a%2Fb", headers=bearer("secret-bob"))
            assert [(one.method, one.path) for one in system.document.requests] == [("POST", "/documents")]
            await system.http.get("/api/documents/a b", headers=bearer("secret-bob"))
            assert system.document.requests[-1].path == "/documents/a%20b"

    run(scenario)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "missing"),
        ({"authorization": "Basic abc"}, "malformed"),
        ({"authorization": "Bearer"}, "malformed"),
        (bearer("secret-mallory"), "unknown_key"),
        (bearer("a.b.c"), "invalid_token"),
        (bearer(jwt.encode({"sub": "key-alice", "iat": 0, "exp": 9999999999, "iss": "rag-gateway"}, "x" * 32)), "invalid_token"),
        (bearer(jwt.encode({"sub": "key-alice", "iat": 0, "exp": 9999999999, "iss": "other"}, SECRET)), "invalid_token"),
        (bearer(jwt.encode({"sub": "key-alice", "iat": 0, "iss": "rag-gateway"}, SECRET)), "invalid_token"),
        (bearer(jwt.encode({"sub": "key-alice", "iat": 0, "exp": 1, "iss": "rag-gateway"}, SECRET)), "expired_token"),
        (bearer(jwt.encode({"sub": "key-gone", "iat": 0, "exp": 9999999999, "iss": "rag-gateway"}, SECRET)), "revoked_key"),
    ],
)
def test_refuses_without_valid_credentials(tmp_path: Path, headers: dict[str, str], reason: str) -> None:
    async def scenario() -> None:
        before = counted("rag_auth_failures_total", reason=reason)
        async with gateway(tmp_path, f"redis://127.0.0.1:{free_port()}") as system:
            with capture_logs() as logs:
                answer = await system.http.post("/api/ask", json={"question": "?"}, headers=headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, reason)
            assert answer.headers["www-authenticate"] == "Bearer"
            assert system.query.requests == []
            (line,) = [line for line in logs if line.get("channel") == "audit"]
            assert (line["event"], line["reason"], line["path"]) == ("access_refused", reason, "/api/ask")
            assert "secret-mallory" not in str(logs)
        assert counted("rag_auth_failures_total", reason=reason) - before == 1

    run(scenario)


def test_unsigned_token_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        token = jwt.encode({"sub": "key-root", "iat": 0, "exp": 9999999999, "iss": "rag-gateway"}, "", "none")
        async with gateway(tmp_path, f"redis://127.0.0.1:{free_port()}") as system:
            assert (await system.ask(token)).json()["error"]["code"] == "invalid_token"

    run(scenario)


def test_token_stands_for_its_key(tmp_path: Path, valkey: Valkey) -> None:
    async def scenario() -> None:
        async with gateway(tmp_path, valkey.url, token_ttl_s=60) as system:
            with capture_logs() as logs:
                issued = await system.http.post("/api/auth/token", headers=bearer("secret-alice"))
            body = issued.json()
            token = body.pop("access_token")
            assert (issued.status_code, body) == (200, {"token_type": "bearer", "expires_in": 60})
            assert issued.headers["cache-control"] == "no-store"
            assert token not in str(logs)
            assert [line["key_id"] for line in logs if line["event"] == "token_issued"] == ["key-alice"]
            assert (await system.ask(token)).status_code == 200
            renewed = await system.http.post("/api/auth/token", headers=bearer(token))
            assert (renewed.status_code, renewed.json()["error"]["code"]) == (403, "forbidden")

    run(scenario)


def test_detailed_health_is_for_admins_and_counts_everything(tmp_path: Path, valkey: Valkey) -> None:
    async def scenario() -> None:
        async with gateway(tmp_path, valkey.url) as system:
            await system.ask()
            system.query.handler = answering(500)
            await system.ask()
            await system.ask("secret-mallory")
            forbidden = await system.http.get("/api/health/detailed", headers=bearer("secret-alice"))
            assert (forbidden.status_code, forbidden.json()["error"]["code"]) == (403, "forbidden")
            report = (await system.http.get("/api/health/detailed", headers=bearer("secret-root"))).json()
            assert report["status"] == "ok"
            assert report["requests"] == {"total": 2, "succeeded": 1, "failed": 1, "limited": 0, "auth_failed": 2}
            assert report["in_rotation"] == {"query": {"query-1": True}, "document": {"document-1": True}}
            assert report["limits_in"] == "cache"
            assert list(report["detail"]) == ["query", "document", "user"]
            usage = (await system.http.get("/api/usage", headers=bearer("secret-alice"))).json()
            assert usage["usage"] == {"total": 2, "succeeded": 1, "failed": 1, "limited": 0}
            assert (usage["client"], usage["plan"]) == ("alice", "test")
        assert system.reports == [{"succeeded": 1, "failed": 1, "limited": 0}]

    run(scenario)


def test_health_of_parts(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with gateway(tmp_path, f"redis://127.0.0.1:{free_port()}") as system:
            health = await system.http.get("/api/health")
            assert (health.status_code, health.json()["status"], health.json()["version"]) == (200, "ok", "1.0.0")
            llm = await system.http.get("/api/health/llm")
            assert (llm.status_code, llm.json()["status"]) == (200, "degraded")
            assert llm.json()["detail"]["llm"]["instances"]["llm-1"]["ready"] is True
            assert llm.json()["detail"]["llm_fallback"] == {"status": "down", "reason": "no instance is registered"}
            embeddings = await system.http.get("/api/health/embeddings")
            assert (embeddings.status_code, embeddings.json()["status"]) == (503, "down")
            system.document.ready = False
            report = (await system.http.get("/api/health/detailed", headers=bearer("secret-root"))).json()
            assert (report["status"], report["detail"]["document"]["instances"]["document-1"]["reason"]) == ("degraded", "status 503")
            assert (await system.http.get("/ready")).json() == {"ready": True, "checks": {}}

    run(scenario)


@pytest.mark.parametrize("with_cache", [True, False])
@pytest.mark.parametrize(
    ("plan", "reason", "longest_s"),
    [
        ({**WIDE, "per_minute": 3}, "per_minute", 60),
        ({**WIDE, "per_hour": 3}, "per_hour", 3600),
    ],
)
def test_limits_per_client_and_route(
    tmp_path: Path, valkey: Valkey, plan: dict[str, int], reason: str, longest_s: int, with_cache: bool
) -> None:
    async def scenario() -> None:
        redis_url = valkey.url if with_cache else f"redis://127.0.0.1:{free_port()}"
        before = counted("rag_rate_limited_total", reason=reason)
        async with gateway(tmp_path, redis_url, plan=plan) as system:
            assert [(await system.ask()).status_code for _ in range(4)] == [200, 200, 200, 429]
            refused = await system.ask()
            assert refused.json()["error"]["code"] == "rate_limited"
            assert 1 <= int(refused.headers["retry-after"]) <= longest_s
            assert (await system.ask("secret-bob")).status_code == 200
            assert (await system.http.post("/api/search", json={"query": "?"}, headers=bearer("secret-alice"))).status_code == 200
        assert counted("rag_rate_limited_total", reason=reason) - before == 2

    run(scenario)


def test_burst_is_limited_and_passes(tmp_path: Path, valkey: Valkey) -> None:
    async def scenario() -> None:
        async with gateway(tmp_path, valkey.url, plan={**WIDE, "burst_per_s": 4}) as system:
            loop = asyncio.get_running_loop()
            begun_s = loop.time()
            statuses = [answer.status_code for answer in await asyncio.gather(*(system.ask() for _ in range(20)))]
            # A second may begin in between, more of them on a busy machine: then at most the burst of each is served as well.
            assert 4 <= statuses.count(200) <= 4 * (2 + int(loop.time() - begun_s))
            assert set(statuses) <= {200, 429}
            deadline = loop.time() + 60
            while (await system.ask()).status_code == 429:
                assert loop.time() < deadline, "the burst limit never clears"
                await asyncio.sleep(0.1)

    run(scenario)


def test_limits_survive_the_loss_of_the_cache_without_waiting(tmp_path: Path, valkey: Valkey) -> None:
    async def scenario() -> None:
        async with gateway(tmp_path, valkey.url, plan={**WIDE, "per_minute": 1000}) as system:
            assert (await system.ask()).status_code == 200
            before = counted("rag_client_requests_total", callee="cache", outcome="connect_error")
            valkey.kill()
            assert [(await system.ask()).status_code for _ in range(20)] == [200] * 20
            # Only the request that found the cache gone asked it.
            assert counted("rag_client_requests_total", callee="cache", outcome="connect_error") - before == 1
            root = bearer("secret-root")
            assert (await system.http.get("/api/health/detailed", headers=root)).json()["limits_in"] == "process"
            await asyncio.to_thread(valkey.start)
            deadline = asyncio.get_running_loop().time() + 60
            while (await system.http.get("/api/health/detailed", headers=root)).json()["limits_in"] != "cache":
                assert asyncio.get_running_loop().time() < deadline, "the cache is not used again"
                await asyncio.sleep(0.05)

    run(scenario)


def test_plan_of_the_user_service_is_preferred_and_never_waited_for(tmp_path: Path, valkey: Valkey) -> None:
    async def scenario() -> None:
        strict = {**WIDE, "per_minute": 1}
        async with gateway(tmp_path, valkey.url, plan={**WIDE, "per_minute": 100}, user_plan=strict) as system:
            assert (await system.ask()).status_code == 200
            await until(lambda: len(system.user.requests) == 1, "the plan is asked for")
            usage: dict[str, Any] = {}
            while usage.get("limits") != strict:
                usage = (await system.http.get("/api/usage", headers=bearer("secret-alice"))).json()
            # Another limit is another count.
            assert [(await system.ask()).status_code for _ in range(2)] == [200, 429]
            assert len(system.user.requests) == 1

    run(scenario)


def test_without_the_user_service_the_file_s_plan_holds(tmp_path: Path, valkey: Valkey) -> None:
    async def scenario() -> None:
        async with gateway(tmp_path, valkey.url, plan={**WIDE, "per_minute": 2}) as system:
            await system.user.close()
            assert [(await system.ask()).status_code for _ in range(3)] == [200, 200, 429]
            await system.user.open()

    run(scenario)


def test_sheds_the_wanted_share_of_questions_only(tmp_path: Path, valkey: Valkey) -> None:
    async def scenario() -> None:
        async with gateway(tmp_path, valkey.url) as system:
            system.publish(shed_ratio=0.25)
            answers = [await system.ask() for _ in range(20)]
            assert [answer.status_code for answer in answers].count(503) == 5
            refused = next(answer for answer in answers if answer.status_code == 503)
            assert (refused.json()["error"]["code"], refused.headers["retry-after"]) == ("shed", "2")
            search = [await system.http.post("/api/search", json={"query": "?"}, headers=bearer("secret-bob")) for _ in range(8)]
            assert {answer.status_code for answer in search} == {200}
            system.publish(shed_ratio=0.0)
            assert {(await system.ask()).status_code for _ in range(8)} == {200}

    run(scenario)


def test_query_away_is_a_502_with_the_usual_body(tmp_path: Path, valkey: Valkey) -> None:
    async def scenario() -> None:
        async with gateway(tmp_path, valkey.url) as system:
            await system.query.close()
            answer = await system.http.post("/api/ask", json={"question": "?"}, headers={**bearer("secret-alice"), "x-request-id": "abc"})
            assert answer.status_code == 502
            assert (answer.json()["error"]["code"], answer.json()["error"]["request_id"]) == ("query_connect_error", "abc")
            await system.query.open()

    run(scenario)


def test_cors_allows_configured_origins_only(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with gateway(tmp_path, f"redis://127.0.0.1:{free_port()}") as system:
            for origin, status in (("https://app.example", 200), ("https://evil.example", 400)):
                headers = {"origin": origin, "access-control-request-method": "POST"}
                preflight = await system.http.options("/api/ask", headers=headers)
                assert preflight.status_code == status
                assert preflight.headers.get("access-control-allow-origin") == (origin if status == 200 else None)

    run(scenario)


STREAM = [b'data: {"sources":[],"request_id":"r"}\n\n', b'data: {"delta":"4"}\n\n', b'data: {"done":true}\n\n', b"data: [DONE]\n\n"]


def streaming(*chunks: bytes, broken: bool = False) -> Callable[[Exchange], Coroutine[Any, Any, None]]:
    async def handler(exchange: Exchange) -> None:
        await exchange.start_stream()
        for chunk in chunks:
            await exchange.chunk(chunk)
        if broken:
            exchange.writer.transport.abort()
        else:
            await exchange.chunk(b"")

    return handler


def frames(body: bytes) -> list[bytes]:
    return [frame + b"\n\n" for frame in body.split(b"\n\n") if frame]


@pytest.mark.parametrize(
    ("handler", "passed", "code", "counts"),
    [
        (streaming(*STREAM), STREAM, None, (1, 0)),
        (streaming(*(bytes([byte]) for frame in STREAM for byte in frame)), STREAM, None, (1, 0)),
        (streaming(*STREAM[:2], b'data: {"del', broken=True), STREAM[:2], "query_connection_lost", (0, 1)),
        (streaming(*STREAM[:2]), STREAM[:2], "stream_truncated", (0, 1)),
        (streaming(STREAM[0], b'data: {"error":{"code":"x"}}\n\n'), [STREAM[0], b'data: {"error":{"code":"x"}}\n\n'], None, (0, 1)),
    ],
)
def test_streams_pass_whole_frames_and_end_honestly(
    tmp_path: Path, valkey: Valkey, handler: Any, passed: list[bytes], code: str | None, counts: tuple[int, int]
) -> None:
    async def scenario() -> None:
        async with gateway(tmp_path, valkey.url) as system:
            system.query.handler = handler
            answer = await system.ask(stream=True)
            assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
            received = frames(answer.content)
            assert received[: len(passed)] == passed
            extra = [json.loads(frame.removeprefix(b"data: "))["error"]["code"] for frame in received[len(passed) :]]
            assert extra == ([code] if code else [])
            usage = (await system.http.get("/api/usage", headers=bearer("secret-alice"))).json()["usage"]
            assert (usage["succeeded"], usage["failed"]) == counts

    run(scenario)


def test_stream_that_never_began_is_a_plain_error(tmp_path: Path, valkey: Valkey) -> None:
    async def scenario() -> None:
        async with gateway(tmp_path, valkey.url) as system:
            system.query.handler = answering(504, {"x-should-retry": "false", "content-type": "application/json"})
            answer = await system.ask(stream=True)
            assert (answer.status_code, answer.headers["content-type"], answer.content) == (504, "application/json", b"{}")
            await system.query.close()
            answer = await system.ask(stream=True)
            assert (answer.status_code, answer.json()["error"]["code"]) == (502, "query_connect_error")
            usage = (await system.http.get("/api/usage", headers=bearer("secret-alice"))).json()["usage"]
            assert usage["failed"] == 2
            await system.query.open()

    run(scenario)
