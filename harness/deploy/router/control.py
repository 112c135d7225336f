"""The interface by which traffic is shifted, and by which is seen who answered whom."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from harness.deploy.router.table import Table, Weights

_AT_ONCE = 5_000


def control(table: Table, token: str) -> Starlette:
    """`GET /state`, `PUT /weights {urls, weights}` (one step), `GET /answers?after=N`. All want the bearer token."""

    def allowed(request: Request) -> bool:
        return hmac.compare_digest(request.headers.get("authorization", "").encode(), f"Bearer {token}".encode())

    async def state(request: Request) -> Response:
        return JSONResponse(table.state()) if allowed(request) else _refused()

    async def weights(request: Request) -> Response:
        if not allowed(request):
            return _refused()
        try:
            document: Mapping[str, Any] = await request.json()
            table.shift(Weights(dict(document["urls"]), {str(k): float(v) for k, v in document["weights"].items()}))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return JSONResponse({"error": str(error)}, 400)
        return JSONResponse(table.state())

    async def answers(request: Request) -> Response:
        if not allowed(request):
            return _refused()
        after = request.query_params.get("after", "0")
        if not after.isdecimal():
            return JSONResponse({"error": "after: the number of an answer"}, 400)
        return JSONResponse({"answers": table.answers_after(int(after), _AT_ONCE)})

    return Starlette(routes=[Route("/state", state), Route("/weights", weights, methods=["PUT"]), Route("/answers", answers)])


def _refused() -> Response:
    return JSONResponse({"error": "the token of this router is needed"}, 401)
