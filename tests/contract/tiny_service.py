"""`python -m tests.contract.tiny_service KIND PORT VERSION`: the least that can stand for a service (`http`) or for the cache (`redis`)."""

from __future__ import annotations

import asyncio
import sys


def answer(kind: str, version: str, request: bytes) -> bytes:
    """The whole answer to one request; HTTP clients close afterwards."""
    if kind == "redis":
        return b"+PONG\r\n" if request.startswith(b"PING") else b"-ERR\r\n"
    body = f'rag_build_info{{service="tiny",version="{version}"}} 1.0\n'.encode()
    return b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


async def serve(kind: str, port: int, version: str) -> None:
    """Until killed."""

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        end = b"\r\n" if kind == "redis" else b"\r\n\r\n"
        try:
            writer.write(answer(kind, version, await reader.readuntil(end)))
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # whoever leaves early needs no answer
        finally:
            writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
