"""Serving the provider, and beside it the admin API, in one process and on one event loop."""

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import Iterator
from typing import Any

import uvicorn

from mocks.llm.admin import Admin
from mocks.llm.app import Provider
from mocks.llm.exchange import Ledger
from mocks.llm.fault_table import FaultTable
from mocks.llm.metrics import Metrics
from mocks.llm.profile import Profile, Settings

_GRACE_S = 5
_BACKLOG = 2_048
_KEEP_ALIVE_S = 75  # longer than clients keep idle connections, so that it is they who close them


class _Server(uvicorn.Server):
    """A server that leaves signals to its process, which runs two of them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(profile: Profile, settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is in flight. Raises OSError where a port cannot be had."""
    metrics = Metrics(settings.service, settings.version)
    ledger = Ledger(metrics, settings.service, settings.instance, log_requests=settings.log_requests)
    faults = FaultTable(time.monotonic)
    apps: list[tuple[Any, int]] = [(Provider(profile, faults, ledger, metrics), settings.port)]
    if settings.admin_port is not None:
        apps.append((Admin(faults, ledger, settings.admin_token).application(), settings.admin_port))
    listeners = [(app, _listen(settings.host, port)) for app, port in apps]
    servers = [(_server(app), listener) for app, listener in listeners]

    def stop() -> None:
        for server, _ in servers:
            server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    await asyncio.gather(*(server.serve([listener]) for server, listener in servers))


def _server(app: Any) -> _Server:
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACE_S,
    )
    return _Server(config)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=_BACKLOG)
