"""The live page: Starlette and server-sent events, on loopback unless told otherwise. Whoever has a token in the URL has its role."""

from __future__ import annotations

import asyncio
import hmac
import json
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from secrets import token_urlsafe

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from harness.app_thread import AppThread
from harness.gameday.asks import ASK, Role
from harness.gameday.desk import AskError, Desk
from harness.gameday.view import document
from harness.record.clock import Clock

EVERY_S = 0.5
_BODY_LIMIT = 64 * 1024
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_ASSETS = {"": ("page.html", "text/html"), "page.js": ("page.js", "text/javascript"), "page.css": ("page.css", "text/css")}


class GameDayError(RuntimeError):
    """The page cannot be served."""


@dataclass(frozen=True, slots=True)
class _Sent:
    """What one role is sent."""

    built_ns: int
    text: str
    over: bool


class Pages:
    """Serves both roles from a thread of its own."""

    def __init__(self, desk: Desk, places: Sequence[str], clock: Clock, host: str = "127.0.0.1", port: int = 0) -> None:
        self._desk = desk
        self._places = places
        self._clock = clock
        self._at = (host, port)
        self._tokens: dict[Role, str] = {"master": token_urlsafe(18), "players": token_urlsafe(18)}
        self._sent: dict[Role, _Sent] = {}
        self._socket: socket.socket | None = None
        self._served: AppThread | None = None

    def url(self, role: Role) -> str:
        """Where that role's page is. Raises GameDayError before `start`."""
        if self._socket is None:
            raise GameDayError("the page is not served yet")
        host, port = self._socket.getsockname()[:2]
        return f"http://{host}:{port}/{self._tokens[role]}/"

    def start(self) -> None:
        """Listen; returns when requests are served. Raises GameDayError."""
        try:
            self._socket = socket.create_server(self._at)
        except OSError as error:
            raise GameDayError(f"cannot listen on {self._at[0]}:{self._at[1]}: {error}") from error
        self._served = AppThread(self.app(), self._socket, self._clock, "gameday", graceful_s=2)
        if not self._served.start():
            raise GameDayError("the page is not served")

    def stop(self) -> None:
        """Open pages get the last state first; idempotent."""
        if self._served is not None:
            self._served.stop()

    def app(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/{token}/events", self._events),
                Route("/{token}/state", self._state),
                Route("/{token}/do", self._do, methods=["POST"]),
                Route("/{token}/{name}", self._asset),
                Route("/{token}/", self._asset),
            ],
        )

    def _role(self, request: Request) -> Role:
        given = str(request.path_params["token"]).encode()
        for role, token in self._tokens.items():
            if hmac.compare_digest(given, token.encode()):
                return role
        raise HTTPException(404)

    async def _asset(self, request: Request) -> Response:
        self._role(request)
        found = _ASSETS.get(request.path_params.get("name", ""))
        if found is None:
            raise HTTPException(404)
        text = files("harness.gameday").joinpath("assets", found[0]).read_text(encoding="utf-8")
        return Response(text, media_type=found[1], headers=_HEADERS)

    async def _state(self, request: Request) -> Response:
        return JSONResponse(document(self._desk, self._role(request), self._places), headers=_HEADERS)

    async def _events(self, request: Request) -> Response:
        return StreamingResponse(self._stream(self._role(request)), media_type="text/event-stream", headers=_HEADERS)

    async def _stream(self, role: Role) -> AsyncIterator[str]:
        """The state whenever it has changed, until the game day is over or the server ends."""
        last = ""
        while True:
            ending = self._served is not None and self._served.ending
            found = self._latest(role, fresh=ending)
            if found.text != last:
                last = found.text
                yield f"data: {last}\n\n"
            if found.over or ending:
                return
            await asyncio.sleep(EVERY_S)

    def _latest(self, role: Role, *, fresh: bool) -> _Sent:
        """The state of that role, built once for all of its open pages: anew when it is that old, or somebody has done something."""
        now_ns, known = self._clock.now_ns(), self._sent.get(role)
        if known is None or fresh or now_ns - known.built_ns >= EVERY_S * 1e9:
            found = document(self._desk, role, self._places)
            known = _Sent(now_ns, json.dumps(found, separators=(",", ":"), default=str), bool(found["over"]))
            self._sent[role] = known
        return known

    async def _do(self, request: Request) -> Response:
        role = self._role(request)
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return _refused(415, "send JSON")  # which no form of another site can
        content = bytearray()
        async for chunk in request.stream():
            content += chunk
            if len(content) > _BODY_LIMIT:
                return _refused(413, f"a body has at most {_BODY_LIMIT} bytes")
        try:
            await asyncio.to_thread(self._desk.take, role, ASK.validate_json(bytes(content)))
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            return _refused(422, f"{'.'.join(map(str, first['loc'][1:]))}: {first['msg']}".removeprefix(": "))
        except AskError as error:
            return _refused(409, str(error))
        self._sent.clear()
        return JSONResponse({"done": True}, headers=_HEADERS)


def _refused(status: int, message: str) -> Response:
    return JSONResponse({"error": {"message": message}}, status, headers=_HEADERS)
