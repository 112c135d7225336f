"""Listening sockets that can stop listening and keep their port."""

import asyncio
import socket
from collections.abc import Callable

_BACKLOG = 4096


class Listener:
    """One address, bound for as long as this lives.

    Connects are refused (ECONNREFUSED) by taking the bound socket out of the listening state with `shutdown`, which on Linux keeps the
    port: no other process can take it meanwhile, and `listen` brings it back.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket, protocol: Callable[[], asyncio.Protocol]) -> None:
        self._loop = loop
        self._sock = sock
        self._protocol = protocol
        self._server: asyncio.AbstractServer | None = None
        self._opening: asyncio.Task[None] | None = None
        self._listening = False

    async def open(self) -> None:
        """Listen, and serve what connects."""
        self._listening = True
        await self._serve()

    def accept(self) -> None:
        """Listen again, from now on; those who connect wait in the backlog until the loop serves them."""
        self._listening = True
        self._sock.listen(_BACKLOG)
        if self._opening is None:
            self._opening = self._loop.create_task(self._reopen())

    def refuse(self) -> None:
        """Refuse connects; those in the backlog are reset."""
        self._stop_serving()
        self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the port up."""
        self._stop_serving()
        self._sock.close()

    async def _reopen(self) -> None:
        try:
            while self._listening and self._server is None:
                await self._serve()
        finally:
            self._opening = None

    async def _serve(self) -> None:
        # The loop's server closes the socket that it is given, hence a duplicate. `reuse_address` and the like are set when binding.
        server = await self._loop.create_server(self._protocol, sock=self._sock.dup(), backlog=_BACKLOG)
        if self._listening:
            self._server = server
        else:  # refused or closed while the loop was at it: nobody else knows of this server
            server.close()

    def _stop_serving(self) -> None:
        self._listening = False
        if self._server is not None:
            self._server.close()
            self._server = None


def bind(host: str, port: int) -> list[socket.socket]:
    """Sockets bound to every address of `host` ("" for all of the machine's), all on one port; 0 finds a free one. Raises OSError."""
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    addresses = list(dict.fromkeys((family, address[:2]) for family, _, _, _, address in found))
    bound: list[socket.socket] = []
    try:
        for family, (address, _) in addresses:
            bound.append(_bind(family, str(address), port))
            port = bound[0].getsockname()[1]
    except OSError:
        for sock in bound:
            sock.close()
        raise
    return bound


def _bind(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    if port:
        return _bound(family, address, port)
    # A port that the kernel chose at `bind` is given back at `shutdown`; one that was asked for by number is kept.
    with _bound(family, address, 0) as free:
        return _bound(family, address, free.getsockname()[1])


def _bound(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setblocking(False)
        sock.bind((address, port))
    except OSError:
        sock.close()
        raise
    return sock
