"""`python -m harness.deploy.router --listen PORT --control PORT`: serves until SIGTERM. The token comes by ROUTER_TOKEN."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import uvicorn
import uvloop

from harness.deploy.router import TOKEN_VARIABLE
from harness.deploy.router.control import control
from harness.deploy.router.passage import Passages
from harness.deploy.router.table import Table
from harness.record.clock import SystemClock

_BACKLOG = 1024


class _Control(uvicorn.Server):
    """Signals are for the process, not for its control interface."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve(listen: int, control_port: int, token: str, seed: int) -> None:
    table = Table(seed)
    public = await asyncio.start_server(Passages(table, SystemClock()).serve, "127.0.0.1", listen, backlog=_BACKLOG)
    own = _Control(
        uvicorn.Config(
            control(table, token),
            host="127.0.0.1",
            port=control_port,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=1,
        )
    )

    def end() -> None:
        own.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end)
    try:
        await own.serve()
    finally:
        public.close()


def main(argv: Sequence[str] | None = None) -> int:
    """0 after an ordered end."""
    parser = argparse.ArgumentParser(prog="python -m harness.deploy.router", description="shares traffic out between two versions")
    parser.add_argument("--listen", type=int, required=True)
    parser.add_argument("--control", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    uvloop.run(_serve(options.listen, options.control, os.environ[TOKEN_VARIABLE], options.seed))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
