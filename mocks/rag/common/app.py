"""From routes to a running service: probes, metrics, middleware, server."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import FrameType
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from mocks.rag.common import log
from mocks.rag.common.build import Build, Leaking, Slower
from mocks.rag.common.checks import Check
from mocks.rag.common.config import ConfigError, ServiceConfig
from mocks.rag.common.errors import ApiError, UpstreamError, render_api_error, render_http_error
from mocks.rag.common.metrics import BUILD_INFO
from mocks.rag.common.observing import HANG_S, Observing
from mocks.rag.common.telemetry import CLIENT_GONE, Telemetry

__all__ = ["ApiError", "Check", "ConfigError", "ServiceConfig", "UpstreamError", "create_app", "json_object", "run_service", "serve"]

CHECK_TIMEOUT_S = 1.0
GRACEFUL_SHUTDOWN_S = 5
CRASHED = 70
"""Exit status of a build that cannot run (EX_SOFTWARE)."""
USAGE = 2
"""Exit status of a service whose settings cannot be used."""
KEEP_ALIVE_S = 30
"""Longer than the clients' `KEEPALIVE_EXPIRY_S`: the client closes idle connections, so no request meets a closing one."""
MAX_BODY_BYTES = 16 * 1024 * 1024

Lifespan = Callable[[Starlette], AbstractAsyncContextManager[None]]


def create_app(
    config: ServiceConfig,
    routes: Sequence[BaseRoute],
    *,
    checks: Mapping[str, Check] | None = None,
    lifespan: Lifespan | None = None,
    middleware: Sequence[Middleware] = (),
) -> Starlette:
    """An application with `/health`, `/ready`, `/metrics` beside `routes`.

    `checks` run concurrently at every `/ready`, each for at most CHECK_TIMEOUT_S; `middleware` sits inside the telemetry.
    """
    BUILD_INFO.labels(config.service, config.version).set(1)
    build = Build.from_env()
    worse = [
        *([Middleware(Slower, build.latency_s)] if build.latency_s else []),
        *([Middleware(Leaking, build.leaks_bytes)] if build.leaks_bytes else []),
    ]
    return Starlette(
        routes=[*routes, *_probe_routes(config, checks or {}, never_ready=build.never_ready)],
        middleware=[Middleware(Telemetry, config.version), *worse, *middleware],
        exception_handlers={ApiError: render_api_error, HTTPException: render_http_error},
        lifespan=lifespan,
    )


def run_service(name: str, build: Callable[[ServiceConfig], Starlette]) -> None:
    """A service's whole program: settings from the environment, then `serve`. Exit 2 with one line for settings it cannot use."""
    try:
        config = ServiceConfig.from_env(name)
        if Build.from_env().crashes:
            sys.stderr.write(f"{name}: ImportError: cannot import name 'Tracer' from 'telemetry'\n")
            sys.exit(CRASHED)
        app = build(config)
    except ConfigError as error:
        sys.stderr.write(f"{name}: {error}\n")
        sys.exit(USAGE)
    serve(app, config)


def serve(app: Starlette, config: ServiceConfig) -> None:
    """Serve until SIGTERM or SIGINT, logging JSON lines to stdout.

    Then finish what is in flight, for at most GRACEFUL_SHUTDOWN_S, and exit 0.
    """
    import uvicorn  # here, not above: an application can be built, and called in process, without the server

    log.configure(config)
    # uvicorn raises the signal it stopped for once more, after shutting down: that must end the process with 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit_cleanly)
    uvicorn.run(
        app,
        host=config.host,
        port=config.port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_S,
    )


async def json_object(request: Request, *, max_bytes: int = MAX_BODY_BYTES) -> dict[str, Any]:
    """The body as a JSON object. Raises ApiError 400 (not an object), 413 (longer than `max_bytes`) or 499 (the client left half-way)."""
    try:
        body = json.loads(await _read(request, max_bytes))
    except RecursionError as error:
        raise ApiError(400, "invalid_json", "the body is nested too deeply") from error
    except ValueError as error:
        raise ApiError(400, "invalid_json", f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise ApiError(400, "invalid_request", "the body must be a JSON object")
    return body


async def _read(request: Request, max_bytes: int) -> bytearray:
    """The body, counted while it arrives: one sent in chunks has no content-length to go by."""
    too_large = ApiError(413, "too_large", f"the body may have at most {max_bytes} bytes")
    if int(request.headers.get("content-length", 0)) > max_bytes:
        raise too_large
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > max_bytes:
                raise too_large
    except ClientDisconnect as error:
        raise ApiError(CLIENT_GONE, "client_gone", "the client hung up") from error
    return body


def _exit_cleanly(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def _probe_routes(config: ServiceConfig, checks: Mapping[str, Check], *, never_ready: bool = False) -> list[Route]:
    identity = {"status": "ok", "service": config.service, "instance": config.instance, "version": config.version}

    async def health(_request: Request) -> Response:
        return JSONResponse(identity)

    async def ready(_request: Request) -> Response:
        reasons = await failing_checks(checks)
        if never_ready:
            return JSONResponse({"error": "NameError: name 'checks' is not defined"}, 500)
        return JSONResponse({"ready": not reasons, "checks": reasons}, 503 if reasons else 200)

    observing = Observing.from_env()
    scraped = b""

    async def metrics(_request: Request) -> Response:
        nonlocal scraped
        match observing.metrics():
            case "hang":
                await asyncio.sleep(HANG_S)
            case "error":
                return Response("cannot collect metrics", 500)
            case "stale" if scraped:
                return Response(scraped, media_type=CONTENT_TYPE_LATEST)
        scraped = generate_latest()
        return Response(scraped, media_type=CONTENT_TYPE_LATEST)

    return [Route("/health", health), Route("/ready", ready), Route("/metrics", metrics)]


async def failing_checks(checks: Mapping[str, Check]) -> dict[str, str]:
    """Run all checks at once; the failing ones with their reasons."""
    reasons = await asyncio.gather(*(_reason(check) for check in checks.values()))
    return {name: reason for name, reason in zip(checks, reasons, strict=True) if reason is not None}


async def _reason(check: Check) -> str | None:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            return await check()
    except TimeoutError:
        return f"no answer within {CHECK_TIMEOUT_S:g} s"
    except Exception as error:  # noqa: BLE001 - whatever a check raises is the reason for not being ready
        return f"{type(error).__name__}: {error}"
