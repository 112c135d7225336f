"""The admin API of a mock, on a port of its own that those who call the mock do not know: faults, journal, profile."""

import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

import orjson

from mocks.common.journal import Journal
from mocks.faults.table import FaultError
from mocks.http.message import Reply, Request
from mocks.http.router import Match, NotFound, Router

_COUNT = re.compile(r"[0-9]{1,18}")

DEFAULT_LIMIT = 100
MOST_LIMIT = 10_000


class Faults(Protocol):
    """A fault table."""

    def put(self, fault_id: str, document: Mapping[str, Any]) -> dict[str, Any]: ...
    def remove(self, fault_id: str) -> None: ...
    def clear(self) -> None: ...
    def views(self) -> list[dict[str, Any]]: ...


class Profiles(Protocol):
    """The profile of a mock, some of which may be changed."""

    def shown(self) -> Mapping[str, Any]:
        """As JSON, without secrets."""

    def change(self, document: Mapping[str, Any]) -> None:
        """Other values for some of its keys. Raises ValueError, and then nothing has changed."""


class Route(NamedTuple):
    """One operation: what answers it, and what its description says of it."""

    method: str
    path: str
    target: Callable[..., None]
    summary: str
    status: int = 200


class AdminError(Exception):
    """A request is refused; the text says why."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers or {}


class Admin:
    """The handler of the admin port; every route wants `token` as bearer token.

    `open_rows(limit)` are the rows of requests that are still being answered.
    """

    def __init__(
        self,
        token: str,
        faults: Faults,
        journal: Journal,
        open_rows: Callable[[int], Sequence[Mapping[str, Any]]],
        profiles: Profiles | None = None,
    ) -> None:
        self._token = token.encode()
        self._faults = faults
        self._journal = journal
        self._open_rows = open_rows
        self._profiles = profiles
        self._routes = self._all_routes()
        self._router = Router()
        for route in self._routes:
            self._router.add(route.method, route.path, partial(route.target))

    def __call__(self, request: Request, reply: Reply) -> None:
        """Answer one request."""
        try:
            self._check_token(request)
            found = self._router.find(request.method, request.raw_path)
            if isinstance(found, NotFound):
                raise AdminError(404, "not_found", f"there is no {request.path}; GET /admin/openapi.json says what there is")
            if not isinstance(found, Match):
                allowed = ", ".join(found.allowed)
                raise AdminError(405, "method_not_allowed", f"{request.path} takes {allowed}", {"allow": allowed})
            found.target(request, reply, *found.parts)
        except AdminError as error:
            _send(reply, {"error": {"code": error.code, "message": str(error)}}, error.status, error.headers)

    def _all_routes(self) -> list[Route]:
        one = "/admin/faults/{fault_id}"
        routes = [
            Route("GET", "/admin/faults", self._list, "The faults in force, with how many calls they concerned and changed."),
            Route("DELETE", "/admin/faults", self._clear, "End all faults.", 204),
            Route("PUT", one, self._put, "Put a fault in force, in the place of the one with this id."),
            Route("DELETE", one, self._remove, "End a fault, if it is in force.", 204),
            Route("GET", "/admin/journal", self._read, "What was asked and answered: the last rows, or those after a cursor."),
            Route("DELETE", "/admin/journal", self._forget, "Forget the rows; their numbers go on.", 204),
            Route("GET", "/admin/openapi.json", self._describe, "This description."),
        ]
        if self._profiles is not None:
            routes += [
                Route("GET", "/admin/profile", self._show_profile, "The profile, without keys of accounts."),
                Route("PUT", "/admin/profile", self._change_profile, "Change some keys of the profile; the others stay as they are."),
            ]
        return routes

    def _check_token(self, request: Request) -> None:
        scheme, _, given = request.headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"bearer" or not hmac.compare_digest(given, self._token):
            raise AdminError(401, "unauthorized", "the admin token is missing or wrong", {"www-authenticate": "Bearer"})

    def _list(self, _request: Request, reply: Reply) -> None:
        _send(reply, {"faults": self._faults.views()})

    def _put(self, request: Request, reply: Reply, fault_id: str) -> None:
        document = _object(request, "invalid_fault")
        try:
            _send(reply, self._faults.put(fault_id, document))
        except FaultError as error:
            raise AdminError(400, "invalid_fault", str(error)) from error

    def _remove(self, _request: Request, reply: Reply, fault_id: str) -> None:
        self._faults.remove(fault_id)
        reply.send(204, b"", {})

    def _clear(self, _request: Request, reply: Reply) -> None:
        self._faults.clear()
        reply.send(204, b"", {})

    def _read(self, request: Request, reply: Reply) -> None:
        """Rows are JSON already; `lost` of them were forgotten between the cursor and the first one, those up to `cleared` on request."""
        parameters = request.parameters()
        limit = min(_count(parameters, "limit", DEFAULT_LIMIT), MOST_LIMIT)
        after = _count(parameters, "after", None)
        page = self._journal.latest(limit) if after is None else self._journal.after(after, limit)
        unfinished = self._open_rows(limit) if parameters.get("open") == ["true"] else []
        body = b'{"id":"%b","next":%d,"lost":%d,"cleared":%d,"open":%b,"requests":[%b]}' % (
            self._journal.id.encode(),
            page.next,
            page.lost,
            self._journal.cleared,
            orjson.dumps(unfinished),
            b",".join(page.rows),
        )
        reply.send(200, body, {})

    def _forget(self, _request: Request, reply: Reply) -> None:
        self._journal.clear()
        reply.send(204, b"", {})

    def _show_profile(self, _request: Request, reply: Reply) -> None:
        assert self._profiles is not None, "the route is there only where a profile is"
        _send(reply, self._profiles.shown())

    def _change_profile(self, request: Request, reply: Reply) -> None:
        assert self._profiles is not None, "the route is there only where a profile is"
        document = _object(request, "invalid_profile")
        try:
            self._profiles.change(document)
        except ValueError as error:
            raise AdminError(400, "invalid_profile", str(error)) from error
        _send(reply, self._profiles.shown())

    def _describe(self, _request: Request, reply: Reply) -> None:
        _send(reply, describe(self._routes))


def describe(routes: Sequence[Route]) -> dict[str, Any]:
    """The OpenAPI description of the admin API."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        operation: dict[str, Any] = {
            "summary": route.summary,
            "parameters": [*_PARAMETERS.get((route.method, route.path), ())],
            "responses": {str(route.status): {"description": "Done."}, "default": {"$ref": "#/components/responses/Refused"}},
        }
        if "{fault_id}" in route.path:
            operation["parameters"].append(_parameter("fault_id", "path", {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"}))
        if route.method == "PUT":
            operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    error = {"type": "object", "properties": {"code": {"type": "string"}, "message": {"type": "string"}}, "required": ["code", "message"]}
    refused = {"type": "object", "properties": {"error": error}, "required": ["error"]}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Admin API of a mock", "version": "1"},
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "responses": {"Refused": {"description": "Why not.", "content": {"application/json": {"schema": refused}}}},
        },
    }


def _parameter(name: str, where: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": where, "required": where == "path", "schema": dict(schema)}


_PARAMETERS: Mapping[tuple[str, str], Sequence[Mapping[str, Any]]] = {
    ("GET", "/admin/journal"): (
        _parameter("after", "query", {"type": "integer", "minimum": 0}),
        _parameter("limit", "query", {"type": "integer", "minimum": 0, "maximum": MOST_LIMIT, "default": DEFAULT_LIMIT}),
        _parameter("open", "query", {"type": "boolean", "default": False}),
    )
}


def _object(request: Request, code: str) -> dict[str, Any]:
    """The JSON object of a request. Raises AdminError 400."""
    try:
        document = orjson.loads(request.body)
    except orjson.JSONDecodeError as error:
        raise AdminError(400, "invalid_json", f"the body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise AdminError(400, code, "the body must be a JSON object")
    return document


def _count(parameters: Mapping[str, Sequence[str]], name: str, default: Any) -> Any:
    """A whole number among the query's parameters. Raises AdminError 400."""
    given = parameters.get(name)
    if given is None:
        return default
    if not _COUNT.fullmatch(given[-1]):
        raise AdminError(400, f"invalid_{name}", f"{name} must be a whole number, not {given[-1]!r}")
    return int(given[-1])


def _send(reply: Reply, document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
    reply.send(status, orjson.dumps(document), headers or {})
