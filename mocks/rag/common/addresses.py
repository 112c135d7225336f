"""Service discovery by name: a name that stands for every replica of a service, as Docker Swarm's `dnsrr` or a headless service has it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import SplitResult, urlsplit

RESOLVE_TIMEOUT_S = 2.0

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""(host, port) -> every address of it. Raises OSError where there is none, or none is known."""


async def resolve(host: str, port: int) -> Sequence[str]:
    """By the system's resolver, in a thread of the event loop's. Raises OSError, TimeoutError among them."""
    asked = asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    found = await asyncio.wait_for(asked, RESOLVE_TIMEOUT_S)
    return sorted({str(address[0]) for *_, address in found})


class Addresses:
    """What names stand for, by the last answers. A name that cannot be resolved keeps the addresses that it had."""

    def __init__(self, resolve: Resolve = resolve) -> None:
        self._resolve = resolve
        self._known: dict[str, tuple[str, ...]] = {}

    def of(self, url: str) -> tuple[str, ...]:
        """One URL for each address of the URL's host; empty while none is known."""
        parts = urlsplit(url)
        return tuple(_at(parts, address) for address in self._known.get(parts.netloc, ()))

    async def look_up(self, urls: Sequence[str]) -> bool:
        """Ask again for the hosts of these URLs, all at once; True when anything has changed."""
        hosts = {parts.netloc: parts for parts in map(urlsplit, urls)}
        self._known = {name: addresses for name, addresses in self._known.items() if name in hosts}
        answers = await asyncio.gather(*(self._ask(parts) for parts in hosts.values()))
        fresh = {name: addresses for name, addresses in zip(hosts, answers, strict=True) if addresses is not None}
        changed = any(self._known.get(name) != addresses for name, addresses in fresh.items())
        self._known.update(fresh)
        return changed

    async def _ask(self, parts: SplitResult) -> tuple[str, ...] | None:
        try:
            return tuple(await self._resolve(parts.hostname or "", parts.port or 80))
        except OSError:
            return None


def _at(parts: SplitResult, address: str) -> str:
    host = f"[{address}]" if ":" in address else address
    return parts._replace(netloc=f"{host}:{parts.port or 80}").geturl()
