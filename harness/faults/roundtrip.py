"""One timed question and answer in the target's own protocol: the independent look of faults that act between two services.

The connection is made before the clock starts: a proxy's kernel accepts at once, and what is asked is how long an answer takes.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from harness.record.clock import NS_PER_S, Clock

TIMEOUT_S = 5.0
_SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"  # PostgreSQL: length 8, code 80877103; answered with one byte, before any login
_ANSWER_BYTES_MAX = 64 * 1024
Dial = Callable[[float], socket.socket]
"""Connects within so many seconds. Raises OSError."""


class RoundTripError(OSError):
    """No answer, or not the one that the protocol demands."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is sent where, and how a good answer begins (one of `answers`)."""

    host: str
    port: int
    ask: bytes
    answers: tuple[bytes, ...]
    login: bytes = b""


def of_url(url: str) -> Question:
    """The question that fits a service: SSLRequest for postgresql://, PING for redis://, GET /health for http://."""
    parts = urlsplit(url)
    host = parts.hostname or "127.0.0.1"
    match parts.scheme:
        case "postgres" | "postgresql":
            return Question(host, parts.port or 5432, _SSL_REQUEST, (b"N", b"S"))
        case "redis" | "valkey":
            login = f"AUTH {unquote(parts.password)}\r\n".encode() if parts.password else b""
            return Question(host, parts.port or 6379, b"PING\r\n", (b"+PONG",), login)
        case "http":
            ask = f"GET /health HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n".encode()
            return Question(host, parts.port or 80, ask, (b"HTTP/1.1 ", b"HTTP/1.0 "))
        case other:
            raise RoundTripError(f"no question known for {other}://")


def once(question: Question, clock: Clock, timeout_s: float = TIMEOUT_S, dial: Dial | None = None) -> float:
    """Seconds from the question to its answer, on a connection made by `dial`, else straight to its address. Raises RoundTripError."""
    connect = dial or (lambda wait_s: socket.create_connection((question.host, question.port), timeout=wait_s))
    try:
        with connect(timeout_s) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if question.login:
                _exchange(connection, question.login, (b"+OK",))
            started_ns = clock.now_ns()
            _exchange(connection, question.ask, question.answers)
            return (clock.now_ns() - started_ns) / NS_PER_S
    except RoundTripError:
        raise
    except OSError as error:
        raise RoundTripError(f"{question.host}:{question.port}: {type(error).__name__}: {error}") from error


def _exchange(connection: socket.socket, ask: bytes, answers: tuple[bytes, ...]) -> None:
    connection.sendall(ask)
    wanted = min(map(len, answers))
    answer = b""
    while len(answer) < wanted:
        part = connection.recv(_ANSWER_BYTES_MAX)
        if not part:
            raise RoundTripError("closed without an answer")
        answer += part
    if not answer.startswith(answers):
        raise RoundTripError(f"unexpected answer: {answer[:40]!r}")
