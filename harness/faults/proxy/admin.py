"""The proxy's admin API: HTTP/1.1, one request a connection, bearer token.

`PUT /faults/{id}` with a toxic's document, `DELETE /faults/{id}`, `DELETE /faults`, `GET /faults`; `PUT /routes/{name}` with
`{"upstream": "host:port"}` and, where it matters, `listen`, answered with where it listens; `DELETE /routes/{name}`; `GET /status`.
`CONNECT /through/{route}` makes of the connection one of that route, under its faults, and `CONNECT /past/{route}` one that no fault
touches: so whoever reaches this port alone, as from outside of a container, can compare.

Small enough to be written by hand: a web framework would double the start-up time of a process of which there is one per edge.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import re
from collections.abc import Callable
from dataclasses import asdict
from http import HTTPStatus
from time import monotonic
from typing import Any

from harness.faults.proxy.alarm import Alarm
from harness.faults.proxy.piece import ToxicError
from harness.faults.proxy.relay import Traffic
from harness.faults.proxy.routes import Address, Routes
from harness.faults.proxy.table import FaultTable

_BODY_BYTES_MAX = 64 * 1024
_READ_TIMEOUT_S = 5.0
_FAULT = re.compile(r"/faults/([A-Za-z0-9._-]{1,64})")
_ROUTE = re.compile(r"/routes/([A-Za-z0-9._-]{1,64})")
_TUNNEL = re.compile(r"/(through|past)/([A-Za-z0-9._-]{1,64})")
Answer = tuple[HTTPStatus, Any]


class RequestError(ValueError):
    """The request cannot be answered as asked."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class AdminServer:
    """Answers for one proxy."""

    def __init__(self, table: FaultTable, routes: Routes, traffic: Traffic, token: str) -> None:
        self._table = table
        self._routes = routes
        self._traffic = traffic
        self._token = token
        self._expiries: dict[str, Alarm] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: one request, one answer."""
        try:
            async with asyncio.timeout(_READ_TIMEOUT_S):
                method, path, token, body = await _read(reader)
                self._authorize(token)
                if method == "CONNECT":
                    self._tunnel(path, writer)
                    return
                status, document = await self._answer(method, path, body)
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

    def _authorize(self, token: str) -> None:
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            raise RequestError(HTTPStatus.UNAUTHORIZED, "the admin token is missing or wrong")

    def _tunnel(self, path: str, writer: asyncio.StreamWriter) -> None:
        match = _TUNNEL.fullmatch(path)
        side = self._routes.side(match[2], faulty=match[1] == "through") if match is not None else None
        if side is None:
            raise _not_found("CONNECT", path)
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        transport = writer.transport
        transport.set_protocol(side)
        side.connection_made(transport)

    async def _answer(self, method: str, path: str, body: bytes) -> Answer:
        self._table.expire()
        if match := _ROUTE.fullmatch(path):
            return await self._route_action(method, match[1], body)
        action = self._action(method, path, body)
        if action is None:
            raise _not_found(method, path)
        return action()

    def _action(self, method: str, path: str, body: bytes) -> Callable[[], Answer] | None:
        if match := _FAULT.fullmatch(path):
            return {"PUT": lambda: self._put(match[1], body), "DELETE": lambda: self._remove(match[1])}.get(method)
        if path == "/faults":
            return {"GET": lambda: (HTTPStatus.OK, {"faults": self._table.view()}), "DELETE": self._clear}.get(method)
        if path == "/status" and method == "GET":
            return lambda: (HTTPStatus.OK, {"routes": self._routes.view(), **asdict(self._traffic)})
        return None

    def _put(self, fault_id: str, body: bytes) -> Answer:
        document = _object(body)
        try:
            ttl_s = self._table.put(fault_id, document)
        except ToxicError as error:
            raise RequestError(HTTPStatus.BAD_REQUEST, str(error)) from error
        if ttl_s is not None:
            self._expiries.setdefault(fault_id, Alarm(self._table.expire)).set(monotonic() + ttl_s)
        return HTTPStatus.OK, {"id": fault_id, **document}

    def _remove(self, fault_id: str) -> Answer:
        self._table.remove(fault_id)
        return HTTPStatus.NO_CONTENT, None

    def _clear(self) -> Answer:
        self._table.clear()
        return HTTPStatus.NO_CONTENT, None

    async def _route_action(self, method: str, name: str, body: bytes) -> Answer:
        if method == "DELETE":
            self._routes.close(name)
            return HTTPStatus.NO_CONTENT, None
        if method != "PUT":
            raise _not_found(method, f"/routes/{name}")
        try:
            document = _object(body)
            listen = address(str(document.get("listen", "127.0.0.1:0")))
            route = await self._routes.open(name, address(str(document.get("upstream", ""))), listen)
        except ValueError as error:
            raise RequestError(HTTPStatus.BAD_REQUEST, str(error)) from error
        except OSError as error:
            raise RequestError(HTTPStatus.CONFLICT, str(error)) from error
        return HTTPStatus.OK, {"listen": "{}:{}".format(*route.listen)}


def address(text: str) -> Address:
    """`host:port`. Raises ValueError."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{text!r} is no host:port")
    return host.strip("[]"), int(port)


def _object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError as error:
        raise RequestError(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise RequestError(HTTPStatus.BAD_REQUEST, "the body must be a JSON object")
    return document


def _not_found(method: str, path: str) -> RequestError:
    return RequestError(HTTPStatus.NOT_FOUND, f"no such route: {method} {path}")


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
