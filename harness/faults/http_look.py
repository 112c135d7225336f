"""One HTTP request of the harness's own: what a caller of the target would get."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from harness.record.clock import NS_PER_S, Clock

TIMEOUT_S = 2.0
_BODY_BYTES_MAX = 4 << 20


class LookError(OSError):
    """No answer: refused, cut off, or too late."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, and after how long. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    duration_s: float

    def json(self) -> Any:
        """The body. Raises LookError when it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise LookError(f"the answer is no JSON: {error}") from error


def ask(
    url: str, clock: Clock, *, method: str = "GET", headers: Mapping[str, str] | None = None, body: Any = None, timeout_s: float = TIMEOUT_S
) -> Answer:
    """Ask and read the whole answer. `body` is sent as JSON. Raises LookError."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=timeout_s)
    content = None if body is None else json.dumps(body)
    sent = {"connection": "close", **({"content-type": "application/json"} if body is not None else {}), **(headers or {})}
    start_ns = clock.now_ns()
    try:
        connection.request(method, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), content, sent)
        response = connection.getresponse()
        read = response.read(_BODY_BYTES_MAX)
    except (OSError, http.client.HTTPException) as error:
        raise LookError(f"{url}: {type(error).__name__}: {error}") from error
    finally:
        connection.close()
    named = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, named, read, (clock.now_ns() - start_ns) / NS_PER_S)
