"""What answers in a pod of the stand-in: the least of HTTP, of Redis' and of PostgreSQL's protocol that the harness's own looks ask for."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, BinaryIO


@dataclass
class Inside:
    """What the programs of a pod can see of their world."""

    service: str
    version: str
    clock_offset_s: float = 0.0
    ready: bool = True
    admin_token: str = ""
    faults: dict[str, Any] = field(default_factory=dict)  # of a mock


Serve = Callable[[BinaryIO, BinaryIO, Inside], None]
"""Answer one connection until it ends."""


def http(reader: BinaryIO, writer: BinaryIO, inside: Inside) -> None:
    while (line := reader.readline()).strip():
        method, path, _ = line.decode().split(" ", 2)
        headers: dict[str, str] = {}
        while (header := reader.readline().strip()) != b"":
            name, _, value = header.decode().partition(":")
            headers[name.lower()] = value.strip()
        body = reader.read(int(headers.get("content-length", 0)))
        status, document = _answer(method, path, headers, body, inside)
        content = document.encode() if isinstance(document, str) else json.dumps(document).encode()
        date = format_datetime(datetime.now(UTC) + timedelta(seconds=inside.clock_offset_s), usegmt=True)
        writer.write(f"HTTP/1.1 {status} OK\r\nDate: {date}\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content)
        writer.flush()
        if headers.get("connection") == "close":
            return


def _answer(method: str, path: str, headers: Mapping[str, str], body: bytes, inside: Inside) -> tuple[int, Any]:
    if path.startswith("/admin/faults"):
        if headers.get("authorization") != f"Bearer {inside.admin_token}":
            return 401, {"error": "unauthorized"}
        if method == "PUT":
            inside.faults[path.rpartition("/")[2]] = json.loads(body)
        elif method == "DELETE":
            inside.faults.pop(path.rpartition("/")[2], None)
        return 200, {"faults": [{"id": name, **fault} for name, fault in inside.faults.items()]}
    if path == "/metrics":
        return 200, f'rag_build_info{{service="{inside.service}",version="{inside.version}"}} 1.0\n'
    if path == "/ready" and not inside.ready:
        return 503, {"checks": {"self": "not ready"}}
    return 200, {"status": "ok"}


_REDIS = {b"PING": b"+PONG\r\n", **dict.fromkeys((b"AUTH", b"HELLO", b"CLIENT", b"SELECT"), b"+OK\r\n")}


def redis(reader: BinaryIO, writer: BinaryIO, _inside: Inside) -> None:
    while line := reader.readline():
        if line.startswith(b"*"):
            words = [reader.read(int(reader.readline()[1:]) + 2).strip() for _ in range(int(line[1:]))]
        else:
            words = line.split()
        writer.write(_REDIS.get(words[0].upper(), b"-ERR unknown command\r\n"))
        writer.flush()


def postgres(reader: BinaryIO, writer: BinaryIO, _inside: Inside) -> None:
    """Anybody may log in; every query has the one answer 1."""

    def say(kind: bytes, data: bytes) -> None:
        writer.write(kind + struct.pack(">I", len(data) + 4) + data)

    while True:  # before the login: SSLRequest, GSSENCRequest, StartupMessage
        head = reader.read(8)
        if len(head) < 8:
            return
        length, code = struct.unpack(">II", head)
        reader.read(length - 8)
        if code == 196608:
            break
        writer.write(b"N")
        writer.flush()
    say(b"R", struct.pack(">I", 0))
    say(b"S", b"server_version\x0018.0\0")
    say(b"S", b"client_encoding\0UTF8\0")
    say(b"Z", b"I")
    writer.flush()
    while (kind := reader.read(1)) and kind != b"X":
        query = reader.read(struct.unpack(">I", reader.read(4))[0] - 4).rstrip(b"\0").upper()
        if query.startswith(b"SELECT"):
            say(b"T", struct.pack(">H", 1) + b"one\0" + struct.pack(">IHIHIH", 0, 0, 23, 4, 0xFFFFFFFF, 0))
            say(b"D", struct.pack(">HI", 1, 1) + b"1")
            say(b"C", b"SELECT 1\0")
        else:
            say(b"C", query.split()[0] + b"\0")
        say(b"Z", b"T" if query.startswith((b"BEGIN", b"SELECT")) else b"I")
        writer.flush()


BY_SERVICE: Mapping[str, Serve] = {"postgres": postgres, "cache": redis}
"""All others speak HTTP."""
