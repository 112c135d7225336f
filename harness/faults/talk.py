"""One whole conversation with a service, to its end: what came, when, and how it ended, whatever a fault made of it."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote, urlsplit

from harness.faults.roundtrip import Dial, RoundTripError
from harness.record.clock import NS_PER_S, Clock

End = Literal["closed", "reset", "silent", "refused", "unreachable"]
QUIET_S = 0.06
"""A server that has said nothing for so long after its first word has said all."""
_READ_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Talk:
    """`answered_s` and `ended_s` count from the question; `answered_s` is None where nothing came.

    `silent`: connected, and neither a word nor the end in time. `unreachable`: not even connected in time.
    """

    answer: bytes
    answered_s: float | None
    ended_s: float
    end: End


@dataclass(frozen=True, slots=True)
class Words:
    """What is said to a service. `ask` is answered with words that hardly change; `pad` makes a question longer."""

    scheme: str
    host: str
    login: bytes = b""
    user: str = "postgres"

    def ask(self, pad_bytes: int = 0, path: str = "/health") -> bytes:
        """The question as bytes, `pad_bytes` of them without meaning."""
        match self.scheme:
            case "http":
                padding = f"x-padding: {'x' * pad_bytes}\r\n" if pad_bytes else ""
                one = f"GET {path} HTTP/1.1\r\nhost: {self.host}\r\n{padding}"
                return (one + "connection: close\r\n\r\n").encode()
            case "redis":
                return self.login + (b"PING " + b"x" * pad_bytes if pad_bytes else b"PING") + b"\r\n"
            case _:
                name = b"x" * pad_bytes if pad_bytes else b"probe"
                body = b"\x00\x03\x00\x00user\x00" + self.user.encode() + b"\x00application_name\x00" + name + b"\x00\x00"
                return (len(body) + 4).to_bytes(4, "big") + body


def words_for(url: str) -> Words:
    """By the URL's scheme. Raises RoundTripError for one that nobody here speaks."""
    parts = urlsplit(url)
    host = parts.hostname or "127.0.0.1"
    match parts.scheme:
        case "http":
            return Words("http", host)
        case "redis" | "valkey":
            return Words("redis", host, f"AUTH {unquote(parts.password)}\r\n".encode() if parts.password else b"")
        case "postgres" | "postgresql":
            return Words("postgres", host, user=unquote(parts.username or "postgres"))
        case other:
            raise RoundTripError(f"no words known for {other}://")


def talk(dial: Dial, ask: bytes, clock: Clock, patience_s: float) -> Talk:
    """Ask, read until the service is done, end our side, and read to the end; `patience_s` bounds each wait but that for more words."""
    started_ns = clock.now_ns()
    try:
        connection = dial(patience_s)
    except TimeoutError:
        return Talk(b"", None, _since_s(clock, started_ns), "unreachable")
    except ConnectionResetError:
        return Talk(b"", None, _since_s(clock, started_ns), "reset")
    except OSError:
        return Talk(b"", None, _since_s(clock, started_ns), "refused")
    with connection:
        return _converse(connection, ask, clock, patience_s)


def _converse(connection: socket.socket, ask: bytes, clock: Clock, patience_s: float) -> Talk:
    parts: list[bytes] = []
    answered_s: float | None = None
    end: End | None = None
    done = False
    started_ns = clock.now_ns()
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(ask)
        while end is None:
            connection.settimeout(QUIET_S if parts and not done else patience_s)
            try:
                part = connection.recv(_READ_BYTES)
            except TimeoutError:
                if done or not parts:
                    end = "silent"
                else:
                    done = True
                    connection.shutdown(socket.SHUT_WR)
                continue
            if not part:
                end = "closed"
            else:
                answered_s = _since_s(clock, started_ns) if answered_s is None else answered_s
                parts.append(part)
    except OSError:
        end = "reset"
    return Talk(b"".join(parts), answered_s, _since_s(clock, started_ns), end)


def _since_s(clock: Clock, started_ns: int) -> float:
    return (clock.now_ns() - started_ns) / NS_PER_S
