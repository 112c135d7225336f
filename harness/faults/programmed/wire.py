"""One HTTP exchange over a bare socket, as its client sees it: every byte, when it came, and how the connection ended."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import SplitResult, urlsplit

from harness.record.clock import NS_PER_S, Clock
from harness.record.provider import OWN_USER_AGENT

Ended = Literal["complete", "fin", "reset", "silent", "refused", "enough"]
"""`complete`: by the answer's own account; `fin`, `reset`: cut before; `silent`: more was to come, and time ran out; `refused`: nobody
listens; `enough`: the client had seen what it came for, and left.
"""
_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. `step` names it among those of a look; `within_s` and `most_bytes` are when the client leaves."""

    step: str
    method: str
    path: str
    body: Mapping[str, Any] | None = None
    within_s: float = 5.0
    most_bytes: int = 8 << 20


@dataclass(slots=True)
class Exchange:
    """What came back. Times are seconds since the request was sent, or the connection asked for."""

    ended: Ended = "silent"
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)  # names in lower case
    body: bytes = b""
    pieces: list[tuple[float, bytes]] = field(default_factory=list)
    """The chunks of chunked framing, else what each read brought, and when."""
    first_byte_s: float | None = None
    head_s: float | None = None
    took_s: float = 0.0

    @property
    def good(self) -> bool:
        """Whether it says itself that all is well."""
        return self.ended == "complete" and 200 <= self.status < 300

    def value(self) -> Any:
        """The body's JSON, NaN and infinities included; None where it has none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class Wire:
    """One connection to a service, opened by its first request. `headers` go with each."""

    def __init__(self, url: str, clock: Clock, headers: Mapping[str, str]) -> None:
        self._url: SplitResult = urlsplit(url)
        self._clock = clock
        self._headers = {"user-agent": OWN_USER_AGENT, **headers}
        self._socket: socket.socket | None = None

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        if self._socket is not None:
            self._socket.close()

    def exchange(self, ask: Ask) -> Exchange:
        """Ask and read until the answer is complete, the connection ends, or the client has seen enough. Never raises OSError."""
        found, begun_ns = Exchange(), self._clock.now_ns()
        try:
            connection = self._connected(ask.within_s)
            connection.sendall(self._request(ask))
            self._read(connection, ask, found, begun_ns)
        except ConnectionRefusedError:
            found.ended = "refused"
        except TimeoutError:
            found.ended = "silent"
        except (ConnectionResetError, BrokenPipeError):
            found.ended = "reset"
        except OSError as error:  # no route, no name: nobody listens there, as far as this client can tell
            found.ended, found.body = "refused", str(error).encode()
        found.took_s = self._since_s(begun_ns)
        return found

    def _connected(self, within_s: float) -> socket.socket:
        if self._socket is None:
            self._socket = socket.create_connection((self._url.hostname or "127.0.0.1", self._url.port or 80), within_s)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._socket

    def _request(self, ask: Ask) -> bytes:
        content = b"" if ask.body is None else json.dumps(ask.body).encode()
        fields = {
            "host": self._url.netloc.rpartition("@")[2],
            "content-type": "application/json",
            "content-length": str(len(content)),
            **self._headers,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return f"{ask.method} {self._url.path.rstrip('/')}{ask.path} HTTP/1.1\r\n{head}\r\n".encode() + content

    def _read(self, connection: socket.socket, ask: Ask, found: Exchange, begun_ns: int) -> None:
        answer = _Answer(found)
        size = 0
        while not answer.complete:
            left_s = ask.within_s - self._since_s(begun_ns)
            if left_s <= 0:
                raise TimeoutError
            connection.settimeout(left_s)
            data = connection.recv(_READ_BYTES)
            if not data:
                found.ended = "fin"
                return
            answer.take(data, self._since_s(begun_ns))
            size += len(data)
            if size >= ask.most_bytes and not answer.complete:
                found.ended = "enough"
                return
        found.ended = "complete"

    def _since_s(self, begun_ns: int) -> float:
        return (self._clock.now_ns() - begun_ns) / NS_PER_S


class _Answer:
    """Takes an answer's bytes apart as they come."""

    def __init__(self, found: Exchange) -> None:
        self._found = found
        self._raw = b""
        self._length = 0
        self._chunked = False
        self.complete = False

    def take(self, data: bytes, at_s: float) -> None:
        found = self._found
        if found.first_byte_s is None:
            found.first_byte_s = at_s
        self._raw += data
        if found.head_s is None and not self._head(at_s):
            return
        if self._chunked:
            self._chunks(at_s)
        else:
            self._piece(self._raw, at_s)
            self._raw = b""
            self.complete = len(found.body) >= self._length

    def _head(self, at_s: float) -> bool:
        head, separator, rest = self._raw.partition(b"\r\n\r\n")
        if not separator:
            return False
        found = self._found
        first, *lines = head.decode("latin-1").split("\r\n")
        words = first.split(" ", 2)
        found.status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
        found.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        found.head_s = at_s
        self._chunked = found.headers.get("transfer-encoding", "") == "chunked"
        length = found.headers.get("content-length", "0")
        self._length = int(length) if length.isdigit() else 0
        self._raw = rest
        return True

    def _chunks(self, at_s: float) -> None:
        while not self.complete:
            size, separator, rest = self._raw.partition(b"\r\n")
            length = _hexadecimal(size)
            if not separator or len(rest) < length + 2:
                return
            self.complete = length == 0
            if length:
                self._piece(rest[:length], at_s)
            self._raw = rest[length + 2 :]

    def _piece(self, data: bytes, at_s: float) -> None:
        if data:
            self._found.pieces.append((at_s, data))
            self._found.body += data


def _hexadecimal(size: bytes) -> int:
    try:
        return int(size.partition(b";")[0], 16)
    except ValueError:
        return 0
