"""`python -m harness.faults.proxy --listen 127.0.0.1:0 --upstream HOST:PORT --admin 127.0.0.1:0 --token T`

Prints one JSON line, `{"listen": port, "admin": port}`, when both ports accept connections; ends on SIGTERM or SIGINT. The token may come
from the environment variable PROXY_TOKEN instead, where the command line can be read by others.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence

from harness.faults.proxy.admin import AdminServer
from harness.faults.proxy.relay import Session, Traffic
from harness.faults.proxy.table import FaultTable

BACKLOG = 1024


def address(text: str) -> tuple[str, int]:
    """`host:port`."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no host:port")
    return host.strip("[]"), int(port)


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m harness.faults.proxy", description="TCP proxy that takes faults over an admin API")
    parser.add_argument("--listen", type=address, required=True, metavar="HOST:PORT")
    parser.add_argument("--upstream", type=address, required=True, metavar="HOST:PORT")
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
    table = FaultTable(loop.time, options.seed)
    traffic = Traffic()
    listener = await loop.create_server(lambda: Session(table, options.upstream, traffic).accept(), *options.listen, backlog=BACKLOG)
    listen = listener.sockets[0].getsockname()
    place = {"listen": f"{listen[0]}:{listen[1]}", "upstream": "{}:{}".format(*options.upstream)}
    admin = await asyncio.start_server(AdminServer(table, traffic, options.token, place).serve, *options.admin)
    sys.stdout.write(json.dumps({"listen": listen[1], "admin": admin.sockets[0].getsockname()[1]}) + "\n")
    sys.stdout.flush()
    await stop.wait()
    listener.close()
    admin.close()


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
