"""`python -m harness.faults.proxy --listen 127.0.0.1:0 --upstream HOST:PORT --admin 127.0.0.1:0 --token T`

Prints one JSON line, `{"listen": port, "admin": port}`, when both ports accept connections; ends on SIGTERM or SIGINT. Without `--upstream`
it listens for nobody (`listen` is null) until it is given routes. The token may come from the environment variable PROXY_TOKEN instead,
where the command line can be read by others.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from time import monotonic

from harness.faults.proxy import admin
from harness.faults.proxy.relay import Traffic
from harness.faults.proxy.routes import Address, Routes
from harness.faults.proxy.table import FaultTable

FIRST_ROUTE = "upstream"


def address(text: str) -> Address:
    """`host:port`, as an argument."""
    try:
        return admin.address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m harness.faults.proxy", description="TCP proxy that takes faults over an admin API")
    parser.add_argument("--listen", type=address, default=("127.0.0.1", 0), metavar="HOST:PORT")
    parser.add_argument("--upstream", type=address, metavar="HOST:PORT")
    parser.add_argument("--admin", type=address, required=True, metavar="HOST:PORT")
    parser.add_argument("--token", default=os.environ.get("PROXY_TOKEN"), help="bearer token of the admin API")
    parser.add_argument("--seed", type=int, default=0, help="of everything that is drawn, such as jitter")
    parsed = parser.parse_args(argv)
    if not parsed.token:
        parser.error("a token is needed: --token, or the environment variable PROXY_TOKEN")
    return parsed


async def serve(options: argparse.Namespace) -> None:
    """Relay until a signal comes."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    table, traffic = FaultTable(monotonic, options.seed), Traffic()
    routes = Routes(table, traffic)
    first = await routes.open(FIRST_ROUTE, options.upstream, options.listen) if options.upstream is not None else None
    control = await asyncio.start_server(admin.AdminServer(table, routes, traffic, options.token).serve, *options.admin)
    places = {"listen": first.listen[1] if first is not None else None, "admin": control.sockets[0].getsockname()[1]}
    sys.stdout.write(json.dumps(places) + "\n")
    sys.stdout.flush()
    await stop.wait()
    routes.close_all()
    control.close()


def main() -> None:
    """Run under uvloop where it is installed."""
    options = arguments()
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve(options))
    else:
        uvloop.run(serve(options))


if __name__ == "__main__":
    main()
