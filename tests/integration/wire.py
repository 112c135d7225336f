"""One HTTP exchange over a bare socket: every byte, every chunk, and how the connection ended."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

PATIENCE_S = 10.0
"""How long silence may last where an answer is expected."""

Ended = Literal["complete", "fin", "reset", "silent"]
"""`complete`: the answer says itself that it is; `fin` and `reset`: cut before; `silent`: nothing came for as long as the client waited."""


@dataclass
class Exchange:
    """What came back. `chunks` are those of chunked framing, `body` their bytes or those of the whole answer, as far as they came."""

    raw: bytes = b""
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    chunks: list[bytes] = field(default_factory=list)
    ended: Ended = "silent"
    took_s: float = 0.0
    reads: list[tuple[float, int]] = field(default_factory=list)
    """Seconds after the request, and how many bytes had come by then."""

    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


class Connection:
    """One connection to a local port."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._begun_s = 0.0

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def post(
        self, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None, *, patience_s: float = PATIENCE_S
    ) -> Exchange:
        """Send a request with a JSON body and read until the answer is complete, the connection ends, or silence lasts too long."""
        self.start(path, body, headers)
        return self.read(lambda found: False, patience_s)

    def start(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        """Send a request with a JSON body. Raises OSError where the connection is gone."""
        content = json.dumps(body).encode()
        named = {
            "host": f"127.0.0.1:{self._port}",
            "content-type": "application/json",
            "content-length": str(len(content)),
            **(headers or {}),
        }
        head = f"POST {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in named.items()) + "\r\n"
        self._begun_s = time.monotonic()
        self.socket.sendall(head.encode() + content)

    def read(self, enough: Callable[[Exchange], bool], patience_s: float = PATIENCE_S) -> Exchange:
        """What comes until it is enough, the answer is complete, the connection ends, or silence lasts too long."""
        found = Exchange()
        self.socket.settimeout(patience_s)
        try:
            while not (_complete(found) or enough(found)):
                data = self.socket.recv(65_536)
                now_s = time.monotonic() - self._begun_s
                if not data:
                    found.ended = "fin"
                    break
                found.raw += data
                found.reads.append((now_s, len(found.raw)))
            else:
                found.ended = "complete"
        except TimeoutError:
            found.ended = "silent"
        except ConnectionResetError:
            found.ended = "reset"
        found.took_s = time.monotonic() - self._begun_s
        return found


def _complete(found: Exchange) -> bool:
    """Whether all of the answer is there, by its own account."""
    head, separator, rest = found.raw.partition(b"\r\n\r\n")
    if not separator:
        return False
    first, *lines = head.decode("latin-1").split("\r\n")
    found.status = int(first.split(" ", 2)[1])
    found.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if found.headers.get("transfer-encoding") == "chunked":
        found.chunks, last = _chunks(rest)
        found.body = b"".join(found.chunks)
        return last
    found.body = rest
    return len(rest) >= int(found.headers.get("content-length", "0"))


def _chunks(data: bytes) -> tuple[list[bytes], bool]:
    """The whole chunks, and whether the last one, of size 0, is among what came."""
    chunks: list[bytes] = []
    while True:
        size, separator, rest = data.partition(b"\r\n")
        if not separator:
            return chunks, False
        length = int(size, 16)
        if len(rest) < length + 2:
            return chunks, False
        if length == 0:
            return chunks, True
        chunks.append(rest[:length])
        data = rest[length + 2 :]
