"""The proxy's admin API: HTTP/1.1, one request a connection, bearer token.

`PUT /faults/{id}` with a toxic's document, `DELETE /faults/{id}`, `DELETE /faults`, `GET /faults`, `GET /status`. Small enough to be
written by hand: a web framework would double the start-up time of a process of which there is one per edge.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any

from harness.faults.proxy.relay import Traffic
from harness.faults.proxy.table import FaultTable
from harness.faults.proxy.toxics import ToxicError

_BODY_BYTES_MAX = 64 * 1024
_READ_TIMEOUT_S = 5.0
_FAULT = re.compile(r"/faults/([A-Za-z0-9._-]{1,64})")


class RequestError(ValueError):
    """The request cannot be answered as asked."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class AdminServer:
    """Answers for one table. `place` is what `GET /status` says of the proxy: `listen` and `upstream`, each `host:port`."""

    table: FaultTable
    traffic: Traffic
    token: str
    place: Mapping[str, str]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: one request, one answer."""
        try:
            async with asyncio.timeout(_READ_TIMEOUT_S):
                status, document = self._answer(*await _read(reader))
        except RequestError as error:
            status, document = error.status, {"error": str(error)}
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            writer.close()  # whoever cannot finish a request gets no answer
            return
        body = b"" if document is None else json.dumps(document).encode()
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close"
        )
        writer.write(head.encode() + b"\r\n\r\n" + body)
        writer.close()

    def _answer(self, method: str, path: str, token: str, body: bytes) -> tuple[HTTPStatus, Any]:
        if not hmac.compare_digest(token.encode(), self.token.encode()):
            raise RequestError(HTTPStatus.UNAUTHORIZED, "the admin token is missing or wrong")
        self.table.expire()
        route = self._route(method, path, body)
        if route is None:
            raise RequestError(HTTPStatus.NOT_FOUND, f"no such route: {method} {path}")
        return route()

    def _route(self, method: str, path: str, body: bytes) -> Callable[[], tuple[HTTPStatus, Any]] | None:
        if match := _FAULT.fullmatch(path):
            return {"PUT": lambda: self._put(match[1], body), "DELETE": lambda: self._remove(match[1])}.get(method)
        if path == "/faults":
            return {"GET": lambda: (HTTPStatus.OK, {"faults": self.table.view()}), "DELETE": self._clear}.get(method)
        if path == "/status" and method == "GET":
            return lambda: (HTTPStatus.OK, {**self.place, **asdict(self.traffic)})
        return None

    def _put(self, fault_id: str, body: bytes) -> tuple[HTTPStatus, Any]:
        try:
            document = json.loads(body)
        except ValueError as error:
            raise RequestError(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {error}") from error
        if not isinstance(document, dict):
            raise RequestError(HTTPStatus.BAD_REQUEST, "the body must be a JSON object")
        try:
            ttl_s = self.table.put(fault_id, document)
        except ToxicError as error:
            raise RequestError(HTTPStatus.BAD_REQUEST, str(error)) from error
        if ttl_s is not None:
            asyncio.get_running_loop().call_later(ttl_s, self.table.expire)
        return HTTPStatus.OK, {"id": fault_id, **document}

    def _remove(self, fault_id: str) -> tuple[HTTPStatus, Any]:
        self.table.remove(fault_id)
        return HTTPStatus.NO_CONTENT, None

    def _clear(self) -> tuple[HTTPStatus, Any]:
        self.table.clear()
        return HTTPStatus.NO_CONTENT, None


async def _read(reader: asyncio.StreamReader) -> tuple[str, str, str, bytes]:
    """Method, path, bearer token, body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    words = head[0].split(" ")
    if len(words) != 3:
        raise RequestError(HTTPStatus.BAD_REQUEST, "not an HTTP request")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > _BODY_BYTES_MAX:
        raise RequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"content-length must be a number up to {_BODY_BYTES_MAX}")
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return words[0], words[1], token.strip() if scheme.lower() == "bearer" else "", await reader.readexactly(int(length))
