"""A small HTTP/1.1 service with the reference stack's interface, whose behaviour a test sets."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

Handler = Callable[[str, str, dict[str, Any], asyncio.StreamWriter], Awaitable[None]]

CORPUS = [{"doc_id": "doc-a", "title": "A", "text": "…", "version": 1}, {"doc_id": "doc-b", "title": "B", "text": "…", "version": 1}]
QUESTIONS = [
    {"id": 0, "question": "What is the code of A?", "gold": ["doc-a"], "canary": "AA-111111", "answerable": True},
    {"id": 1, "question": "What is the code of Nothing?", "gold": [], "canary": None, "answerable": False},
]


class Target:
    """Serves in a thread of its own. Handlers may be replaced by route: `target.routes["POST /api/ask"] = ...`."""

    def __init__(self) -> None:
        self.routes: dict[str, Handler] = {"POST /api/ask": ask, "POST /api/search": search, "POST /api/documents": self._ingest}
        self.seen: list[tuple[str, str, dict[str, Any], Mapping[str, str]]] = []  # method, path, JSON body, headers
        self.documents: dict[str, str] = {}
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                await self._request(reader, writer)
        writer.close()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        method, path, _ = first.split()
        headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines)}
        content = await reader.readexactly(int(headers.get("content-length", 0)))
        body = json.loads(content) if content else {}
        self.seen.append((method, path, body, headers))
        if method == "GET" and path.startswith("/api/documents/"):
            await reply(writer, 200, {"status": self.documents.get(path.rpartition("/")[2], "dead")})
            return
        await self.routes[f"{method} {path}"](method, path, body, writer)

    async def _ingest(self, _method: str, _path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        self.documents[body["doc_id"]] = "indexed"
        await reply(writer, 202, {"doc_id": body["doc_id"], "status": "queued"})

    async def _serve(self, started: threading.Event) -> None:
        self._stopped = asyncio.Event()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = self._loop.create_task(self._connection(reader, writer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        server = await asyncio.start_server(connected, "127.0.0.1", 0, backlog=1024)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        started.set()
        await self._stopped.wait()
        server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @contextmanager
    def running(self) -> Iterator[Target]:
        started = threading.Event()
        thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve(started)))
        thread.start()
        assert started.wait(60)
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._stopped.set)
            thread.join(60)
            self._loop.close()


async def reply(writer: asyncio.StreamWriter, status: int, document: object, headers: Mapping[str, str] | None = None) -> None:
    """A JSON answer; a str is sent as it is."""
    content = document.encode() if isinstance(document, str) else json.dumps(document).encode()
    lines = [f"HTTP/1.1 {status} -", f"content-length: {len(content)}", *(f"{k}: {v}" for k, v in (headers or {}).items())]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
    await writer.drain()


def answer(question: str) -> dict[str, Any]:
    known = "code of A" in question
    return {
        "answer": "The code of A is AA-111111 [doc-a]." if known else "I cannot find this in the provided documents.",
        "sources": [{"doc_id": "doc-b", "chunk_id": "b-1", "score": 0.9}, {"doc_id": "doc-a", "chunk_id": "a-1", "score": 0.8}],
        "citations": ["doc-a"] if known else [],
        "degraded": False,
        "model": "big",
        "finish_reason": "stop",
        "attempts": 2,
        "usage": {"prompt_tokens": 9, "completion_tokens": 7},
    }


async def ask(_method: str, _path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    document = answer(body["question"])
    if not body["stream"]:
        await reply(writer, 200, document)
        return
    text, sources = document.pop("answer"), document.pop("sources")
    words = text.split(" ")
    await stream(writer, [{"sources": sources}, {"delta": ""}, *({"delta": w + " "} for w in words), {"done": True, **document}, "[DONE]"])


async def search(_method: str, _path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    await reply(writer, 200, {"sources": answer(body["query"])["sources"], "degraded": True, "degraded_reasons": ["lexical_retrieval"]})


async def stream(writer: asyncio.StreamWriter, events: list[Any], gap_s: float = 0.0, complete: bool = True) -> None:
    """Server-sent events in a chunked body; not `complete`: the connection closes in the middle of the body."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    for event in events:
        data = f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n".encode()
        writer.write(b"%x\r\n%s\r\n" % (len(data), data))
        await writer.drain()
        await asyncio.sleep(gap_s)
    if not complete:
        raise ConnectionError
    writer.write(b"0\r\n\r\n")
    await writer.drain()
