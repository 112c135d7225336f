"""The little of ASGI that the mock needs; without a framework a streamed token costs a third (docs of the reference stack, Mock LLM)."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from mocks.llm.wire import ProviderError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MOST_BODY_BYTES = 8 * 1024 * 1024


class ClientGoneError(Exception):
    """The client hung up before its request was complete."""


async def read_body(receive: Receive) -> bytes:
    """The whole request body. Raises ProviderError 413 and ClientGoneError."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        part = message.get("body", b"")
        size += len(part)
        if size > MOST_BODY_BYTES:
            raise ProviderError(413, f"The request body has more than {MOST_BODY_BYTES} bytes.")
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


async def start(send: Send, status: int, content_type: bytes, headers: Mapping[str, str], length: int | None = None) -> None:
    """Send status and headers; without `length` the body is chunked."""
    raw = [(b"content-type", content_type), *((name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items())]
    if length is not None:
        raw.append((b"content-length", str(length).encode()))
    await send({"type": "http.response.start", "status": status, "headers": raw})


async def write(send: Send, part: bytes, *, last: bool = False) -> None:
    """Send a part of the body."""
    await send({"type": "http.response.body", "body": part, "more_body": not last})


async def reply(send: Send, status: int, body: bytes, headers: Mapping[str, str], content_type: bytes = b"application/json") -> None:
    """Send a whole answer."""
    await start(send, status, content_type, headers, len(body))
    await write(send, body, last=True)
