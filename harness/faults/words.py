"""What is said to a service, in the protocol that it speaks, to see how it fares."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from harness.faults.roundtrip import RoundTripError


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
