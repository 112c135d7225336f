"""The HTTP interface of the inbox. Every handler takes the time first: receipt is what is scored."""

from __future__ import annotations

import asyncio
import hmac
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from harness.inbox.actions import Actions, BusyError
from harness.inbox.bodies import ActionBody, DiagnosisBody, EscalationBody, Webhook
from harness.inbox.verbs import ArgumentError
from harness.record.clock import Clock
from harness.record.events import ALERT, DIAGNOSIS, ESCALATION, Event

_BODY_LIMIT = 1024 * 1024
HANG_POLL_S = 0.05
_Body = TypeVar("_Body", bound=BaseModel)
_Handler = Callable[[Request, int], Awaitable[JSONResponse]]


class _RejectedError(Exception):
    """The request is answered with an error and leaves no claim."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Routes:
    """Claims go to `record`, actions to `actions`. `rejected` counts by path what left no claim."""

    def __init__(self, actions: Actions, record: Callable[[Event], Event], clock: Clock, token: str) -> None:
        self._actions = actions
        self._record = record
        self._clock = clock
        self._authorization = f"Bearer {token}".encode()
        self._diagnosis_numbers = count(1)
        self._escalation_numbers = count(1)
        self.rejected: Counter[str] = Counter()
        self.alerts_down: Literal["error", "hang"] | None = None
        self.alerts_refused = 0

    def app(self) -> Starlette:
        """The ASGI application."""
        posts: dict[str, _Handler] = {
            "/claims/alerts": self._alerts,
            "/claims/diagnoses": self._diagnoses,
            "/claims/escalations": self._escalations,
            "/actions": self._act,
        }
        routes = [Route(path, self._received(handler), methods=["POST"]) for path, handler in posts.items()]
        routes.append(Route("/actions/{action_id}", self._received(self._action), methods=["GET"]))
        return Starlette(routes=routes)

    def _received(self, handler: _Handler) -> Callable[[Request], Awaitable[JSONResponse]]:
        async def handle(request: Request) -> JSONResponse:
            t_ns = self._clock.now_ns()
            try:
                if not hmac.compare_digest(request.headers.get("authorization", "").encode(), self._authorization):
                    raise _RejectedError(401, "send the token as `Authorization: Bearer …`")
                return await handler(request, t_ns)
            except _RejectedError as error:
                self.rejected[request.url.path] += 1
                return JSONResponse({"error": {"message": str(error)}}, error.status)

        return handle

    async def _alerts(self, request: Request, t_ns: int) -> JSONResponse:
        if self.alerts_down is not None:
            self.alerts_refused += 1
            while self.alerts_down == "hang" and not await request.is_disconnected():  # noqa: ASYNC110  # it is set by another thread
                await asyncio.sleep(HANG_POLL_S)
            return JSONResponse({"error": {"message": "not available"}}, 503)
        webhook = await _body(request, Webhook)
        for alert in webhook.alerts:
            self._record(Event(t_ns, ALERT, "claim", alert.to_event()))
        return JSONResponse({"received": len(webhook.alerts)})

    async def _diagnoses(self, request: Request, t_ns: int) -> JSONResponse:
        body = await _body(request, DiagnosisBody)
        diagnosis_id = f"d-{next(self._diagnosis_numbers)}"
        self._record(Event(t_ns, DIAGNOSIS, "claim", {"diagnosis_id": diagnosis_id, **body.model_dump()}))
        return JSONResponse({"diagnosis_id": diagnosis_id}, 201)

    async def _escalations(self, request: Request, t_ns: int) -> JSONResponse:
        body = await _body(request, EscalationBody)
        escalation_id = f"e-{next(self._escalation_numbers)}"
        self._record(Event(t_ns, ESCALATION, "claim", {"escalation_id": escalation_id, **body.model_dump()}))
        return JSONResponse({"escalation_id": escalation_id}, 201)

    async def _act(self, request: Request, t_ns: int) -> JSONResponse:
        body = await _body(request, ActionBody)
        try:
            state = self._actions.request(body, t_ns)
        except ArgumentError as error:
            raise _RejectedError(422, str(error)) from error
        except BusyError as error:
            self.rejected[request.url.path] += 1
            message = f"{body.service}: action {error.running_id} is still running"
            return JSONResponse({"action_id": error.running_id, "error": {"message": message}}, 409)
        if state.status == "refused":
            return JSONResponse({**state.to_json(), "error": {"message": state.detail}}, 422)
        return JSONResponse(state.to_json(), 202)

    async def _action(self, request: Request, _t_ns: int) -> JSONResponse:
        action_id = request.path_params["action_id"]
        state = self._actions.get(action_id)
        if state is None:
            return JSONResponse({"error": {"message": f"no action {action_id!r}"}}, 404)
        return JSONResponse(state.to_json())


async def _body(request: Request, model: type[_Body]) -> _Body:
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > _BODY_LIMIT:
            raise _RejectedError(413, f"a body has at most {_BODY_LIMIT} bytes")
    try:
        return model.model_validate_json(bytes(content))
    except ValidationError as error:
        first: dict[str, Any] = dict(error.errors(include_url=False, include_context=False)[0])
        where = ".".join(map(str, first["loc"]))
        status = 400 if first["type"] == "json_invalid" else 422
        raise _RejectedError(status, f"{where}: {first['msg']}" if where else str(first["msg"])) from error
