"""Where the proxy listens, and for whom: one listener for each upstream, all under the same faults."""

from __future__ import annotations

import asyncio
import ctypes
import socket
import struct
import sys
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

from harness.faults.proxy.relay import Session, Traffic
from harness.faults.proxy.table import FaultTable

BACKLOG = 1024
Address = tuple[str, int]

_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27  # of <asm-generic/socket.h>; the module `socket` does not name them
_DROP = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # one instruction of BPF: return 0 bytes of the packet
_DROP_ALL = struct.pack("HL", 1, ctypes.addressof(_DROP))


@dataclass(frozen=True, slots=True)
class Route:
    """One listener. `upstream` is dialled for each connection."""

    socket: socket.socket
    server: asyncio.Server
    upstream: Address

    @property
    def listen(self) -> Address:
        host, port = self.socket.getsockname()[:2]
        return str(host), int(port)


class Routes:
    """The listeners of one proxy, by name."""

    def __init__(self, table: FaultTable, traffic: Traffic) -> None:
        self._table = table
        self._traffic = traffic
        self._routes: dict[str, Route] = {}
        table.watch(self._follow)

    async def open(self, name: str, upstream: Address, listen: Address = ("127.0.0.1", 0)) -> Route:
        """Listen for that upstream; a route of that name and upstream stays as it is. Raises OSError."""
        known = self._routes.get(name)
        if known is not None and known.upstream == upstream:
            return known
        listener = socket.create_server(listen, backlog=BACKLOG)
        listener.setblocking(False)
        server = await asyncio.get_running_loop().create_server(
            lambda: Session(self._table, upstream, self._traffic).accept(), sock=listener, backlog=BACKLOG
        )
        self.close(name)
        route = self._routes[name] = Route(listener, server, upstream)
        set_deaf(listener, self._table.deaf)
        return route

    def side(self, name: str, *, faulty: bool) -> asyncio.Protocol | None:
        """A connection of that route that came in elsewhere, under the faults in force or none; None for an unknown route."""
        route = self._routes.get(name)
        if route is None:
            return None
        return Session(self._table if faulty else FaultTable(monotonic, 0), route.upstream, self._traffic).accept()

    def close(self, name: str) -> None:
        """Listen there no longer; connections that are open go on. Harmless for an unknown one."""
        route = self._routes.pop(name, None)
        if route is not None:
            route.server.close()

    def close_all(self) -> None:
        """Before the end."""
        for name in list(self._routes):
            self.close(name)

    def view(self) -> dict[str, dict[str, str]]:
        """`listen` and `upstream` of each route, as `host:port`."""
        return {
            name: {"listen": "{}:{}".format(*route.listen), "upstream": "{}:{}".format(*route.upstream)}
            for name, route in self._routes.items()
        }

    def _follow(self) -> None:
        for route in self._routes.values():
            set_deaf(route.socket, self._table.deaf)


def set_deaf(listener: socket.socket, deaf: bool) -> None:
    """Drop every packet to a listening socket, SYNs too, or none: as a partition does, new connections are neither taken nor refused.

    Where there are no filters (any kernel but Linux) or they are not allowed, connections are taken, and nothing of them passes.
    """
    if not sys.platform.startswith("linux"):
        return
    with suppress(OSError):  # not allowed; or there was none to detach
        if deaf:
            listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, _DROP_ALL)
        else:
            listener.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
