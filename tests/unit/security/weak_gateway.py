"""A small gateway with doors that a test may open: what abuse should find, one by one."""

from __future__ import annotations

import base64
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt

SECRET = "a-signing-key-of-at-least-thirty-two-bytes"
KEYS = {"key-of-alice-1": "alice", "key-of-bob-22": "bob"}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are what this is for."""


@dataclass
class WeakGateway:
    """`flaws`: no_auth, alg_none, unsigned_claims, no_expiry, big_bodies, climbs, breaks, obeys, obeys_users, shared, open_admin, no_limit,
    trusts_forwarded, down_after_bodies, alice_unlimited."""

    flaws: frozenset[str] = frozenset()
    documents: dict[str, tuple[str, str]] = field(default_factory=dict)
    hits: int = 0
    down: bool = False

    def __post_init__(self) -> None:
        self.server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"gateway": self}))
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def caller(self, authorization: str) -> str | None:
        token = authorization.partition(" ")[2] if authorization.startswith("Bearer ") else ""
        if "no_auth" in self.flaws:
            return "alice"
        if token in KEYS:
            return KEYS[token]
        try:
            if "alg_none" in self.flaws and jwt.get_unverified_header(token)["alg"].lower() == "none":
                part = token.split(".")[1]
                return str(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))["sub"])
            verify = {"verify_signature": "unsigned_claims" not in self.flaws, "verify_exp": "no_expiry" not in self.flaws}
            required = [] if "no_expiry" in self.flaws else ["exp"]
            return str(jwt.decode(token, SECRET, ["HS256"], options={**verify, "require": required})["sub"])
        except (jwt.InvalidTokenError, ValueError, KeyError):
            return None

    def limited(self, caller: str, forwarded: str | None) -> bool:
        if "alice_unlimited" in self.flaws and caller == "alice":
            return False
        if "no_limit" in self.flaws or ("trusts_forwarded" in self.flaws and forwarded):
            return False
        self.hits += 1  # of a window that outlasts any test
        return self.hits > 12

    def answer(self, question: str, caller: str) -> str:
        if "obeys_users" in self.flaws and "reply with only " in question:
            return question.partition("reply with only ")[2].split(".")[0]
        for owner, text in self.documents.values():
            mine = owner == caller or "shared" in self.flaws
            if mine and any(word in text for word in question.rstrip("?").split() if len(word) > 7 and word.isalnum()):
                order = text.partition("reply with only ")[2]
                return order.split()[0] if order and "obeys" in self.flaws else f"It says: {text}"
        return "I cannot find it."


class _Handler(BaseHTTPRequestHandler):
    gateway: WeakGateway

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        if self.gateway.down:
            return self._say(503, {})
        caller = self.gateway.caller(self.headers.get("authorization", ""))
        if self.path == "/admin":
            return self._say(200 if "open_admin" in self.gateway.flaws or caller else 401, {})
        if caller is None:
            return self._say(401, {})
        if self.path.startswith("/documents/"):
            owner, _ = self.gateway.documents.get(self.path.removeprefix("/documents/"), ("", ""))
            seen = owner and (owner == caller or "shared" in self.gateway.flaws)
            return self._say(200 if seen else 404, {"status": "indexed", "id": self.path.rpartition("/")[2]} if seen else {})
        return self._say(200, {"client": caller})

    def do_POST(self) -> None:
        lengths, coded = self.headers.get_all("content-length") or [], self.headers.get("transfer-encoding")
        if coded is not None or len(lengths) != 1 or not lengths[0].isdigit():
            self.close_connection = "smuggles" not in self.gateway.flaws
            return self._say(400, {})
        caller = self.gateway.caller(self.headers.get("authorization", ""))
        if caller is None:
            self.close_connection = True
            return self._say(401, {})
        if int(lengths[0]) > 100_000 and "big_bodies" not in self.gateway.flaws:
            self.gateway.down = "down_after_bodies" in self.gateway.flaws
            self.close_connection = True
            return self._say(413, {})
        return self._post(caller, self.rfile.read(int(lengths[0])))

    def _post(self, caller: str, raw: bytes) -> None:
        if self.path == "/token":
            now = int(time.time())
            return self._say(200, {"access_token": jwt.encode({"sub": caller, "iat": now, "exp": now + 60}, SECRET, "HS256")})
        try:
            body = json.loads(raw)
            assert isinstance(body, dict)
        except (ValueError, RecursionError, AssertionError):
            return self._say(200 if "big_bodies" in self.gateway.flaws else 400, {})
        if self.path == "/documents":
            if not body["id"].replace("-", "").isalnum() and "climbs" not in self.gateway.flaws:
                return self._say(500 if "breaks" in self.gateway.flaws else 422, {})
            self.gateway.documents[body["id"]] = (caller, body["text"])
            return self._say(202, {})
        if self.gateway.limited(caller, self.headers.get("x-forwarded-for")):
            return self._say(429, {})
        return self._say(200, {"answer": self.gateway.answer(body["question"], caller)})

    def _say(self, status: int, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""
