"""Server-sent events: frames cut out of a byte stream as they arrive, never later."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterable, Mapping
from typing import Any

DONE = b"data: [DONE]\n\n"
FRAME_BYTES_MAX = 1_048_576
_END = b"\n\n"
_DATA = b"data: "
_DELTA = b'{"delta"'


class BrokenStreamError(Exception):
    """The stream ended inside a frame, or one is longer than `FRAME_BYTES_MAX`, or holds no JSON object."""


async def frames(chunks: AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
    """Whole frames, each with its blank line, as soon as they are complete. Raises `BrokenStreamError`."""
    rest = b""
    async for chunk in chunks:
        *complete, rest = (rest + chunk).split(_END)
        for frame in complete:
            yield frame + _END
        if len(rest) > FRAME_BYTES_MAX:
            raise BrokenStreamError(f"a frame of more than {FRAME_BYTES_MAX} bytes")
    if rest.strip():
        raise BrokenStreamError("ended inside a frame")


def is_delta(frame: bytes) -> bool:
    """Whether the frame is a piece of the answer, by its first bytes: these frames pass through unread, for they are many."""
    return frame.startswith(_DELTA, len(_DATA))


def encode(payload: Mapping[str, Any]) -> bytes:
    """A frame."""
    return _DATA + json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode() + _END


def decode(frame: bytes) -> dict[str, Any]:
    """The object of a frame. Raises `BrokenStreamError`."""
    try:
        payload = json.loads(frame.removeprefix(_DATA))
    except ValueError as error:
        raise BrokenStreamError(f"a frame that is no JSON: {frame[:80]!r}") from error
    if not isinstance(payload, dict):
        raise BrokenStreamError(f"a frame that is no object: {frame[:80]!r}")
    return payload
