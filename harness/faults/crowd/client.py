"""One HTTP/1.1 exchange on a connection of its own, on plain asyncio: what a client that keeps nothing open does."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked, ready for the wire."""

    host: str
    port: int
    wire: bytes


def request(host: str, port: int, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> Request:
    """The bytes of a request that asks for the connection to be closed after it."""
    lines = [f"{method} {path} HTTP/1.1", f"host: {host}:{port}", "connection: close", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return Request(host, port, "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)


async def exchange(asked: Request, timeout_s: float) -> int | None:
    """The status of the answer, read to its end; None where there is none in time. Leaving closes the connection."""
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(asked.host, asked.port)
            writer.write(asked.wire)
            await writer.drain()
            line = await reader.readline()
            while await reader.read(65_536):
                pass
            return int(line.split(b" ", 2)[1])
    except (TimeoutError, OSError, ValueError, IndexError):
        return None
    finally:
        if writer is not None:
            writer.close()
