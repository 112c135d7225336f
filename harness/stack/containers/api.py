"""The Docker engine's HTTP API over its Unix socket, as far as a stack needs it.

Spoken directly: every call has a connection of its own, so threads share nothing, and there is no package to install. Only engines of this
machine will do anyway: containers get folders of this machine, and publish their ports on its loopback.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import socket
import struct
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO
from urllib.parse import quote, urlencode

from harness.stack.base import StackError

DEFAULT_ADDRESS = "unix:///var/run/docker.sock"
CALL_TIMEOUT_S = 30.0
CONTEXT_TIMEOUT_S = 10.0
_FRAME = struct.Struct(">BxxxL")
"""Of output without a terminal: stream number, length."""


class EngineError(StackError):
    """The engine refused; `status` is its HTTP status, or 0 where none answers."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class EngineApi:
    """One engine. Safe for several threads."""

    def __init__(self, path: str) -> None:
        """`path` of its Unix socket. Nothing is asked yet."""
        self._path = path

    @classmethod
    def found(cls) -> EngineApi:
        """The engine that the Docker command line talks to (DOCKER_HOST, then its context). Raises EngineError for another machine's."""
        address = os.environ.get("DOCKER_HOST") or _of_context() or DEFAULT_ADDRESS
        if not address.startswith("unix://"):
            raise EngineError(
                f"the Docker engine {address} is none of this machine: containers need one behind a Unix socket (DOCKER_HOST=unix://…)"
            )
        api = cls(address.removeprefix("unix://"))
        api.version()
        return api

    def version(self) -> str:
        """Of the engine. Raises EngineError where none answers."""
        return str(self.call("GET", "/version")["Version"])

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        accept: tuple[int, ...] = (),
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> Any:
        """The answer's JSON; None when it has none, or an error status of `accept`. Raises EngineError."""
        connection = _Connection(self._path, timeout_s)
        with contextlib.closing(connection):
            response = self._send(connection, method, path, body, query)
            content = self._read(response)
        if response.status >= 400 and response.status not in accept:
            raise EngineError(_message(content), response.status)
        return json.loads(content) if content and response.status < 300 else None

    def output(self, path: str, query: Mapping[str, Any]) -> Iterator[bytes]:
        """Follow the output of a container, both streams in one, until it ends. Raises EngineError."""
        connection = _Connection(self._path, None)  # silence is no fault of it
        with contextlib.closing(connection):
            response = self._send(connection, "GET", path, None, query)
            if response.status >= 400:
                raise EngineError(_message(self._read(response)), response.status)
            yield from _frames(response)

    def attached(self, path: str, body: Mapping[str, Any]) -> Iterator[bytes]:
        """Start something (an exec) when first asked, and follow its output until it ends. Raises EngineError."""
        connection = _Connection(self._path, None)
        with contextlib.closing(connection):
            response = self._send(connection, "POST", path, body, None)
            if response.status >= 400:
                raise EngineError(_message(self._read(response)), response.status)
            yield from _frames(response)

    def _send(
        self, connection: _Connection, method: str, path: str, body: Mapping[str, Any] | None, query: Mapping[str, Any] | None
    ) -> http.client.HTTPResponse:
        target = quote(path) + (f"?{urlencode(_plain(query))}" if query else "")
        content = json.dumps(body) if body is not None else None
        headers = {"content-type": "application/json"} if content is not None else {}
        try:
            connection.request(method, target, content, headers)
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise self._silent(error) from error

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        try:
            return response.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._silent(error) from error

    def _silent(self, error: Exception) -> EngineError:
        return EngineError(f"no Docker engine answers at {self._path}: {error or type(error).__name__}")


class _Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout_s: float | None) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _frames(response: BinaryIO) -> Iterator[bytes]:
    """Payloads of a multiplexed stream until its end, wherever that is."""
    with contextlib.suppress(OSError, http.client.HTTPException):  # an engine that is stopped ends streams in their middle
        while len(header := response.read(_FRAME.size)) == _FRAME.size:
            _, length = _FRAME.unpack(header)
            yield response.read(length)


def _plain(query: Mapping[str, Any]) -> dict[str, str]:
    """Filters go as JSON, truth values as words."""
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in query.items()}


def _message(content: bytes) -> str:
    try:
        return f"Docker: {json.loads(content)['message'].strip()}"
    except (ValueError, KeyError, TypeError):
        return f"Docker: {content[:500].decode('utf-8', errors='replace').strip()}"


def _of_context() -> str | None:
    """The address of the command line's current context; None without a command line."""
    if shutil.which("docker") is None:
        return None
    inspect = ["docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]
    try:
        done = subprocess.run(inspect, capture_output=True, text=True, timeout=CONTEXT_TIMEOUT_S, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
