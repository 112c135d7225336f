"""How attempts are made: over HTTP, or by bytes that no client would send; counted, bounded in time, and judged by what came."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from harness.score.check import Status
from harness.security.abuse.plan import Plan, Route

TIMEOUT_S = 10.0
MAX_REQUESTS = 1_500
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")


class SpentError(Exception):
    """Time or requests of this step are used up."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt. PASS: it was refused. `sent` and `came` hold no credential."""

    family: str
    name: str
    sent: str
    came: str
    status: Status
    reason: str

    def to_json(self) -> dict[str, str]:
        """JSON-ready."""
        return {
            "family": self.family,
            "name": self.name,
            "sent": self.sent,
            "came": self.came,
            "status": self.status.value,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Came:
    """An answer; `status` 0 means that there was none, and `text` why."""

    status: int
    text: str = ""
    document: Any = None

    def __str__(self) -> str:
        return str(self.status) if self.status else f"no answer ({self.text})"

    @property
    def fine(self) -> bool:
        return 200 <= self.status < 300

    def field(self, name: str | None) -> str:
        """A field of the JSON answer as text; all of it without a name."""
        found = self.document.get(name) if name is not None and isinstance(self.document, dict) else self.text
        return found if isinstance(found, str) else str(found) if found is not None else ""


def _client() -> httpx.Client:
    """A connection for each request: a gateway that hangs up after it has refused one would leave the next without an answer."""
    return httpx.Client(trust_env=False, follow_redirects=False, timeout=TIMEOUT_S, limits=httpx.Limits(max_keepalive_connections=0))


@dataclass(slots=True)
class Gate:
    """The gateway with valid credentials, and how often it was asked."""

    plan: Plan
    key: str
    time_left: Callable[[], bool]
    second_key: str | None = None
    signing_key: str | None = None
    limited_key: str | None = None  # of a client with limits, where `key` has none
    asked: int = 0
    _http: httpx.Client = field(default_factory=_client)

    def close(self) -> None:
        self._http.close()

    def ask(
        self,
        route: Route,
        token: str | None = None,
        *,
        text: str = "",
        id_: str = "",
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Came:
        """One request. Raises SpentError."""
        self.spend()
        path = filled(route.path, text, id_)
        url = path if "://" in path else self.plan.url.rstrip("/") + path
        sent = {**({"authorization": f"Bearer {token}"} if token is not None else {}), **(headers or {})}
        content: dict[str, Any] = (
            {"content": raw} if raw is not None else {"json": filled(route.body, text, id_)} if route.body is not None else {}
        )
        try:
            answer = self._http.request(
                route.method, url, headers={**({"content-type": "application/json"} if raw else {}), **sent}, **content
            )
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            return Came(0, type(error).__name__)
        try:
            document = answer.json()
        except ValueError:
            document = None
        return Came(answer.status_code, answer.text[:20_000], document)

    def control(self) -> Came:
        """What must work: the door is open to who may enter."""
        return self.ask(self.plan.routes.protected, self.key)

    def bytes(self, data: bytes, wait_s: float = 1.5) -> tuple[list[int], bytes]:
        """(statuses of the answers, all that came) of bytes on a connection of their own. Raises SpentError, OSError."""
        self.spend()
        parts = urlsplit(self.plan.url)
        host, port = str(parts.hostname), parts.port or (443 if parts.scheme == "https" else 80)
        came = b""
        with socket.create_connection((host, port), timeout=TIMEOUT_S) as plain:
            stream = ssl.create_default_context().wrap_socket(plain, server_hostname=host) if parts.scheme == "https" else plain
            stream.settimeout(wait_s)
            try:
                stream.sendall(data)
                while len(came) < 1 << 20:
                    piece = stream.recv(65536)
                    if not piece:
                        break
                    came += piece
            except (TimeoutError, ConnectionError):
                pass  # what came until then is what came
        return [int(one) for one in _STATUS.findall(came)], came

    def spend(self) -> None:
        """One request more. Raises SpentError."""
        self.asked += 1
        if self.asked > MAX_REQUESTS or not self.time_left():
            raise SpentError


def filled(value: Any, text: str, id_: str) -> Any:
    """A template with `{text}` and `{id}` filled in, at any depth."""
    if isinstance(value, str):
        return value.replace("{id}", id_).replace("{text}", text)
    if isinstance(value, dict):
        return {key: filled(one, text, id_) for key, one in value.items()}
    return [filled(one, text, id_) for one in value] if isinstance(value, list) else value


def judged(family: str, name: str, sent: str, came: Came) -> Attempt:
    """Was it refused? An answer of 2xx is none; 5xx broke something; silence, a redirect, 404 and 429 prove nothing."""
    if not came.status:
        status, reason = Status.INCONCLUSIVE, f"{came}: a door that nobody answers proves nothing"
    elif came.fine:
        status, reason = Status.FAIL, f"answered {came.status} instead of refusing"
    elif came.status >= 500:
        status, reason = Status.FAIL, f"answered {came.status}: it broke instead of refusing"
    elif came.status < 400 or came.status in (404, 405, 429):
        status, reason = Status.INCONCLUSIVE, f"answered {came.status}, which is no word on this"
    else:
        status, reason = Status.PASS, f"refused with {came.status}"
    return Attempt(family, name, sent, str(came), status, reason)
