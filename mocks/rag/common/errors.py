"""Errors on the wire: `{"error": {"code", "message", "request_id"}}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from mocks.rag.common.context import current

NO_RETRY_HEADER = "x-should-retry"
"""`false` on an answer: retries were already spent further down, another one would only multiply the load."""

Outcome = Literal["ok", "timeout", "connect_error", "connection_lost", "http_4xx", "http_5xx", "rate_limited", "circuit_open", "error"]
"""How a call to a callee ended, in the words of the telemetry contract."""

_CODES = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}


class ApiError(Exception):
    """An error that the caller shall see: HTTP status, stable code word, message for people, extra headers."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})


class UpstreamError(ApiError):
    """A callee gave no usable answer, after all retries.

    `outcome` is the word of the telemetry contract (timeout, connect_error, circuit_open, error, …); the caller of this
    service gets 504 for a timeout, 503 for an open circuit, 502 otherwise, marked as not worth a retry.
    """

    def __init__(self, callee: str, outcome: Outcome, reason: str) -> None:
        status = {"timeout": 504, "circuit_open": 503}.get(outcome, 502)
        super().__init__(status, f"{callee}_{outcome}", f"{callee}: {reason}", {NO_RETRY_HEADER: "false"})
        self.callee = callee
        self.outcome = outcome


def error_body(code: str, message: str) -> dict[str, dict[str, str]]:
    """The body of an error answer, with the id of the request in hand."""
    return {"error": {"code": code, "message": message, "request_id": current().request_id}}


async def render_api_error(_request: Request, error: Exception) -> JSONResponse:
    """Starlette exception handler for ApiError."""
    assert isinstance(error, ApiError)  # registered for this class only
    return JSONResponse(error_body(error.code, error.message), error.status, error.headers)


async def render_http_error(_request: Request, error: Exception) -> JSONResponse:
    """Starlette exception handler for its own HTTPException (unknown route, wrong method)."""
    assert isinstance(error, HTTPException)  # registered for this class only
    code = _CODES.get(error.status_code, "http_error")
    return JSONResponse(error_body(code, error.detail), error.status_code, dict(error.headers or {}))
