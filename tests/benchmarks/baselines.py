"""What the mock is measured against: the least that Starlette on uvicorn can do (`uvicorn tests.benchmarks.baselines:app`)."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import AsyncIterator

import numpy as np
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

TOKENS = int(os.environ.get("TOKENS", "64"))
_VECTOR = base64.b64encode(np.linspace(-1, 1, 1536, dtype="<f4").tobytes()).decode()
_EMBEDDING = json.dumps(
    {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": _VECTOR}],
        "model": "rag-embedding",
        "usage": {"prompt_tokens": 8, "total_tokens": 8},
    }
).encode()


async def hello(_request: Request) -> Response:
    """The bare JSON endpoint."""
    return JSONResponse({"hello": "world"})


async def stream(_request: Request) -> Response:
    """One event a token, each its own chunk, nothing in between."""

    async def events() -> AsyncIterator[bytes]:
        for number in range(TOKENS):
            chunk = {"choices": [{"index": 0, "delta": {"content": f" token{number}"}, "finish_reason": None}]}
            yield f"data: {json.dumps(chunk)}\n\n".encode()
        yield b"data: [DONE]\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


async def embedding(_request: Request) -> Response:
    """A body that was encoded beforehand."""
    return Response(_EMBEDDING, media_type="application/json")


app = Starlette(
    routes=[
        Route("/hello", hello, methods=["POST"]),
        Route("/stream", stream, methods=["POST"]),
        Route("/embedding", embedding, methods=["POST"]),
    ]
)
