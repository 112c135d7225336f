"""Probes, errors, ids and metrics of an application, called in process."""

from __future__ import annotations

import asyncio
import re
import runpy
import sys
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message
from structlog.testing import capture_logs

from mocks.rag.common.app import ApiError, Check, ServiceConfig, UpstreamError, create_app, json_object
from mocks.rag.common.context import current, new_context

CONFIG = ServiceConfig("svc", "svc-1", "1.2.3", "127.0.0.1", 4000, None, "info")


async def thing(request: Request) -> Response:
    return JSONResponse({"id": request.path_params["id"], "request_id": current().request_id})


async def echo(request: Request) -> Response:
    return JSONResponse(await json_object(request, max_bytes=100))


async def refuse(_request: Request) -> Response:
    raise ApiError(429, "rate_limited", "slow down", {"retry-after": "7"})


async def upstream(_request: Request) -> Response:
    raise UpstreamError("llm", "timeout", "silent")


async def crash(_request: Request) -> Response:
    raise RuntimeError("secret detail")


async def waits(_request: Request) -> Response:
    with current().waiting():
        await asyncio.sleep(0.05)
    return JSONResponse({})


async def fine() -> str | None:
    return None


async def broken() -> str | None:
    return "no connection"


async def raising() -> str | None:
    raise OSError("refused")


def app(**checks: Check) -> Starlette:
    routes = [
        Route("/things/{id}", thing),
        Route("/echo", echo, methods=["POST"]),
        *(Route(f"/{handler.__name__}", handler) for handler in (refuse, upstream, crash, waits)),
    ]
    return create_app(CONFIG, routes, checks=checks)


def call(method: str, path: str, application: Starlette | None = None, **options: Any) -> httpx.Response:
    async def request() -> httpx.Response:
        transport = httpx.ASGITransport(application or app())
        async with httpx.AsyncClient(transport=transport, base_url="http://svc") as client:
            return await client.request(method, path, **options)

    coroutine: Coroutine[Any, Any, httpx.Response] = request()
    return asyncio.run(coroutine)


def test_health_and_metrics() -> None:
    application = app()
    assert call("GET", "/health", application).json() == {"status": "ok", "service": "svc", "instance": "svc-1", "version": "1.2.3"}
    text = call("GET", "/metrics", application).text
    assert 'rag_build_info{service="svc",version="1.2.3"} 1.0' in text
    assert "_created" not in text
    assert "process_start_time_seconds" in text


def test_ready_says_what_is_missing() -> None:
    assert call("GET", "/ready", app(db=fine)).json() == {"ready": True, "checks": {}}
    answer = call("GET", "/ready", app(db=broken, cache=raising, fine=fine))
    assert (answer.status_code, answer.json()) == (503, {"ready": False, "checks": {"db": "no connection", "cache": "OSError: refused"}})


def test_ready_does_not_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hanging() -> str | None:
        await asyncio.Event().wait()
        return None

    monkeypatch.setattr("mocks.rag.common.app.CHECK_TIMEOUT_S", 0.05)
    assert call("GET", "/ready", app(db=hanging)).json() == {"ready": False, "checks": {"db": "no answer within 0.05 s"}}


def test_ids_come_in_and_go_out() -> None:
    headers = {"x-request-id": "abc", "traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}
    with capture_logs() as logs:
        answer = call("GET", "/things/7", headers=headers)
    assert answer.json() == {"id": "7", "request_id": "abc"}
    assert answer.headers["x-request-id"] == "abc"
    (line,) = [line for line in logs if line["event"] == "request"]
    span_id = line.pop("span_id")
    assert re.fullmatch("[0-9a-f]{16}", span_id)
    assert 0 <= line.pop("self_ms") <= line.pop("duration_ms")
    assert line == {
        "event": "request",
        "log_level": "info",
        "channel": "access",
        "parent_id": "2" * 16,
        "method": "GET",
        "route": "/things/{id}",
        "status": 200,
    }


@pytest.mark.parametrize(
    ("request_id", "traceparent"), [(None, None), ("bad id\n", "junk"), ("x" * 200, "00-" + "g" * 32 + "-" + "1" * 16 + "-01")]
)
def test_ids_are_made_up_where_missing_or_malformed(request_id: str | None, traceparent: str | None) -> None:
    context = new_context(request_id, traceparent)
    assert re.fullmatch("[0-9a-f]{32}", context.trace_id)
    assert (context.request_id, context.parent_id) == (context.trace_id, "")


@pytest.mark.parametrize(
    ("path", "status", "code", "message"),
    [
        ("/refuse", 429, "rate_limited", "slow down"),
        ("/upstream", 504, "llm_timeout", "llm: silent"),
        ("/crash", 500, "internal_error", "internal error"),
        ("/nowhere", 404, "not_found", "Not Found"),
        ("/echo", 405, "method_not_allowed", "Method Not Allowed"),
    ],
)
def test_errors_have_one_form(path: str, status: int, code: str, message: str) -> None:
    answer = call("GET", path, headers={"x-request-id": "abc"})
    assert (answer.status_code, answer.json()) == (status, {"error": {"code": code, "message": message, "request_id": "abc"}})
    assert answer.headers.get("retry-after") == ("7" if path == "/refuse" else None)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [(b'{"a": 1}', 200, None), (b"{", 400, "invalid_json"), (b"[]", 400, "invalid_request"), (b" " * 101, 413, "too_large")],
)
def test_body_must_be_a_small_object(body: bytes, status: int, code: str | None) -> None:
    answer = call("POST", "/echo", content=body)
    assert (answer.status_code, answer.json().get("error", {}).get("code")) == (status, code)


def test_a_body_nested_too_deeply_is_refused() -> None:
    async def nested(request: Request) -> Response:
        return JSONResponse(await json_object(request))

    application = create_app(CONFIG, [Route("/nested", nested, methods=["POST"])])
    answer = call("POST", "/nested", application, content=b'{"a":' + b"[" * 100_000)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_json")


def test_a_body_without_content_length_is_counted_while_it_arrives() -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 40
            yield b" " * 40

    answer = call("POST", "/echo", content=endless())
    assert (answer.status_code, answer.json()["error"]["code"], sent) == (413, "too_large", 120)


def test_a_client_that_leaves_while_sending_is_no_error_of_the_service() -> None:
    sent: list[Message] = []
    scope = {"type": "http", "method": "POST", "path": "/echo", "raw_path": b"/echo", "query_string": b"", "headers": [], "root_path": ""}

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    with capture_logs() as logs:
        asyncio.run(app()(scope, receive, send))
    assert sent[0]["status"] == 499
    assert [line["status"] for line in logs if line["event"] == "request"] == [499]
    assert not [line for line in logs if line["log_level"] == "error"]


def test_requests_are_measured_by_route_and_probes_are_not() -> None:
    def sample(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(name, labels) or 0.0

    application = app()
    before = sample("rag_requests_total", route="/waits", method="GET", status="200")
    under_way = sample("rag_requests_in_progress")
    self_before = sample("rag_request_self_seconds_sum", route="/waits")
    total_before = sample("rag_request_duration_seconds_sum", route="/waits")
    call("GET", "/waits", application)
    call("GET", "/ready", application)
    assert sample("rag_requests_total", route="/waits", method="GET", status="200") - before == 1
    waited_s = (sample("rag_request_duration_seconds_sum", route="/waits") - total_before) - (
        sample("rag_request_self_seconds_sum", route="/waits") - self_before
    )
    assert waited_s >= 0.045
    assert sample("rag_requests_in_progress") == under_way
    assert sample("rag_requests_total", route="/ready", method="GET", status="200") == 0


SERVICES = ("gateway", "query", "document", "retrieval", "embedding", "generation", "user")


def exit_of_start(service: str, monkeypatch: pytest.MonkeyPatch, **environment: str) -> Any:
    """The exit code of `python -m mocks.rag.<service>`, in this process."""
    for name in ("PORT", "JWT_SECRET", "DATABASE_URL", "REDIS_URL", "KEYS_FILE", "SPOOL_DIR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    program = "mocks.rag.embedding" if service == "embedding" else f"mocks.rag.{service}.__main__"
    monkeypatch.delitem(sys.modules, program, raising=False)  # runpy warns of what was imported before
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    return ended.value.code


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(("port", "reason"), [("", "PORT is not set"), ("http", "PORT must be a number from 1 to 65535, not 'http'")])
def test_settings_that_cannot_be_used_are_one_line_and_exit_2(
    service: str, port: str, reason: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_of_start(service, monkeypatch, PORT=port) == 2
    assert capsys.readouterr().err == f"{service}: {reason}\n"


@pytest.mark.parametrize(
    ("service", "missing"), [("gateway", "JWT_SECRET"), ("document", "DATABASE_URL"), ("retrieval", "DATABASE_URL"), ("user", "KEYS_FILE")]
)
def test_a_setting_of_one_service_that_is_missing_is_named(
    service: str, missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_of_start(service, monkeypatch, PORT="4000") == 2
    assert capsys.readouterr().err == f"{service}: {missing} is not set\n"
