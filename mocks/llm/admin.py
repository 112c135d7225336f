"""The admin API: faults and the journal, on a port of its own that the stack does not know."""

import hmac
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mocks.llm.exchange import Ledger
from mocks.llm.fault_table import FaultError, FaultTable
from mocks.llm.wire import encode

_JOURNAL_LIMIT = "100"

Handler = Callable[[Request], Awaitable[Response]]


class Admin:
    """The handlers of the admin API."""

    def __init__(self, faults: FaultTable, ledger: Ledger, token: str) -> None:
        self._faults = faults
        self._ledger = ledger
        self._token = token.encode()

    def application(self) -> Starlette:
        """The ASGI application; every route wants the token as bearer token."""
        one = "/admin/faults/{fault_id}"
        return Starlette(
            routes=[
                Route("/admin/faults", self._guarded(self._list), methods=["GET"]),
                Route("/admin/faults", self._guarded(self._clear), methods=["DELETE"]),
                Route(one, self._guarded(self._put), methods=["PUT"]),
                Route(one, self._guarded(self._remove), methods=["DELETE"]),
                Route("/admin/journal", self._guarded(self._journal), methods=["GET"]),
            ]
        )

    def _guarded(self, handler: Handler) -> Handler:
        async def check(request: Request) -> Response:
            scheme, _, given = request.headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not hmac.compare_digest(given.encode(), self._token):
                return _error(401, "unauthorized", "the admin token is missing or wrong")
            return await handler(request)

        return check

    async def _list(self, _request: Request) -> Response:
        return _json({"faults": self._faults.views()})

    async def _put(self, request: Request) -> Response:
        try:
            document = await request.json()
        except ValueError as error:
            return _error(400, "invalid_json", f"the body is not JSON: {error}")
        if not isinstance(document, dict):
            return _error(400, "invalid_fault", "the body must be a JSON object")
        try:
            return _json(self._faults.put(request.path_params["fault_id"], document))
        except FaultError as error:
            return _error(400, "invalid_fault", str(error))

    async def _remove(self, request: Request) -> Response:
        self._faults.remove(request.path_params["fault_id"])
        return Response(status_code=204)

    async def _clear(self, _request: Request) -> Response:
        self._faults.clear()
        return Response(status_code=204)

    async def _journal(self, request: Request) -> Response:
        limit = request.query_params.get("limit", _JOURNAL_LIMIT)
        if not limit.isdecimal():
            return _error(400, "invalid_limit", f"limit must be a whole number, not {limit!r}")
        return _json({"requests": self._ledger.latest(int(limit))})


def _json(value: object, status: int = 200) -> Response:
    return Response(encode(value), status, media_type="application/json")


def _error(status: int, code: str, message: str) -> Response:
    return _json({"error": {"code": code, "message": message}}, status)
