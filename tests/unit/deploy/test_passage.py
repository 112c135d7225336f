"""What passes the router is what came, goes to one version alone, and says who answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from harness.deploy.router.passage import Passages
from harness.deploy.router.table import Table, Weights
from harness.record.clock import SystemClock

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
ASK = b"POST /api/ask?x=1 HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}"


def answering(version: str, body: bytes = b"ok", *, head: bytes = b"", status: bytes = b"200 OK") -> Handler:
    """A version that answers every request alike, on one connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65_536):
            length = b"content-length: %d\r\n" % len(body)
            writer.write(b"HTTP/1.1 %s\r\nx-app-version: %s\r\n%s%s\r\n%s" % (status, version.encode(), length, head, body))
        writer.close()

    return serve


async def chunked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An event stream, in two pieces with a pause between them."""
    await reader.read(65_536)
    writer.write(b"HTTP/1.1 200 OK\r\nx-app-version: 1.0.0\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n")
    await asyncio.sleep(0.05)
    writer.write(b"3\r\ntwo\r\n0\r\n\r\n")


async def cut_short(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(65_536)
    writer.write(b"HTTP/1.1 200 OK\r\nx-app-version: 1.0.0\r\ncontent-length: 9\r\n\r\nhalf")
    writer.close()


async def ends_with_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(65_536)
    writer.write(b"HTTP/1.1 200 OK\r\nx-app-version: 1.0.0\r\n\r\nall of it")
    await writer.drain()
    writer.close()


class Rig:
    """A router in front of handlers, by side."""

    def __init__(self) -> None:
        self.table = Table(1)
        self._servers: list[asyncio.Server] = []
        self.urls: dict[str, str] = {}

    async def start(self, **sides: Handler) -> None:
        for side, handler in sides.items():
            server = await asyncio.start_server(handler, "127.0.0.1", 0)
            self._servers.append(server)
            self.urls[side] = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        public = await asyncio.start_server(Passages(self.table, SystemClock()).serve, "127.0.0.1", 0)
        self._servers.append(public)
        self.port = public.sockets[0].getsockname()[1]

    def shift(self, **weights: float) -> None:
        self.table.shift(Weights(self.urls, weights))

    async def ask(self, request: bytes = ASK) -> bytes:
        """All that comes back until the connection is closed."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request.replace(b"host: a\r\n", b"host: a\r\nconnection: close\r\n"))
        answer = await reader.read()
        writer.close()
        return answer

    def stop(self) -> None:
        for server in self._servers:
            server.close()


def passed(**sides: Handler) -> tuple[bytes, list[dict[str, object]]]:
    """One question to the first of these sides, and what the router saw."""

    async def run() -> tuple[bytes, list[dict[str, object]]]:
        rig = Rig()
        await rig.start(**sides)
        rig.shift(**{next(iter(sides)): 100.0})
        answer = await rig.ask()
        rig.stop()
        return answer, rig.table.answers_after(0, 10)

    return asyncio.run(run())


def test_an_answer_passes_as_it_came_and_says_who_gave_it() -> None:
    answer, seen = passed(blue=answering("1.0.0", b"hello"))
    assert answer == b"HTTP/1.1 200 OK\r\nx-app-version: 1.0.0\r\ncontent-length: 5\r\nx-served-by: blue\r\n\r\nhello"
    assert [(s["route"], s["side"], s["status"], s["version"]) for s in seen] == [("/api/ask", "blue", 200, "1.0.0")]


def test_a_stream_passes_chunk_by_chunk() -> None:
    answer, seen = passed(blue=chunked)
    assert answer.endswith(b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")
    assert seen[0]["status"] == 200


def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    answer, seen = passed(blue=ends_with_connection)
    assert answer.endswith(b"all of it")
    assert seen[0]["status"] == 200


def test_an_answer_that_is_cut_short_stays_so() -> None:
    answer, seen = passed(blue=cut_short)
    assert answer.endswith(b"half")
    assert seen[0]["status"] == 0


def test_a_version_that_is_not_there_is_said_to_be_the_one_that_did_not_answer() -> None:
    async def run() -> tuple[bytes, list[dict[str, object]]]:
        rig = Rig()
        await rig.start()
        rig.urls["green"] = "http://127.0.0.1:1"
        rig.shift(green=100.0)
        answer = await rig.ask()
        rig.stop()
        return answer, rig.table.answers_after(0, 10)

    answer, seen = asyncio.run(run())
    assert answer.startswith(b"HTTP/1.1 502 ")
    assert (seen[0]["side"], seen[0]["status"], seen[0]["version"]) == ("green", 502, None)


def test_without_any_weight_nobody_is_asked() -> None:
    async def run() -> bytes:
        rig = Rig()
        await rig.start()
        answer = await rig.ask()
        rig.stop()
        return answer

    assert asyncio.run(run()).startswith(b"HTTP/1.1 503 ")


def test_a_shift_holds_on_connections_that_are_open() -> None:
    """Users keep their connections for hours: who answers is decided request by request."""

    async def run() -> list[bytes]:
        rig = Rig()
        await rig.start(blue=answering("1.0.0"), green=answering("1.1.0"))
        rig.shift(blue=100.0)
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
        found = []
        for n in range(6):
            if n == 3:
                rig.shift(green=100.0)
            writer.write(ASK)
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(2)
            found.append(head.split(b"x-served-by: ")[1].split(b"\r\n")[0])
        writer.close()
        rig.stop()
        return found

    assert asyncio.run(run()) == [b"blue"] * 3 + [b"green"] * 3
