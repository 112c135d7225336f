"""Credentials that must not open the door: none, broken ones, and tokens that were tampered with (RFC 8725, 2.1 and 3.1)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import jwt

from harness.security.abuse.exchange import Attempt, Came, Gate, judged

_WRONG_KEY = "another-key-of-at-least-thirty-two-bytes"


def attempts(gate: Gate) -> Iterator[Attempt]:
    """Without a token, with strange ones, and, where tokens are issued, with forged ones."""
    route = gate.plan.routes.protected
    for name, sent, headers in (
        ("missing", "no authorization header", {}),
        ("empty", "Authorization: Bearer", {"authorization": "Bearer"}),
        ("another_scheme", "Authorization: Basic with the key", {"authorization": f"Basic {base64.b64encode(gate.key.encode()).decode()}"}),
        ("bare", "Authorization: null", {"authorization": "null"}),
        ("truncated", "the key without its last character", {"authorization": f"Bearer {gate.key[:-1]}"}),
        ("another_header", "X-API-Key: undefined, and no authorization", {"x-api-key": "undefined"}),
    ):
        yield judged("tokens", name, f"{route.method} {route.path}, {sent}", gate.ask(route, headers=headers))
    yield from _forged(gate)


def _forged(gate: Gate) -> Iterator[Attempt]:
    route = gate.plan.routes
    if route.token is None:
        return
    issued = gate.ask(route.token, gate.key).field(route.token.field)
    try:
        claims: dict[str, Any] = jwt.decode(issued, options={"verify_signature": False})
        header = jwt.get_unverified_header(issued)
    except jwt.InvalidTokenError:
        yield judged("tokens", "forged", "nothing: no token was issued to forge from", Came(0, "no JWT came"))
        return
    control = gate.ask(route.protected, issued)
    if not control.fine:
        yield judged("tokens", "forged", "the issued token itself", Came(0, f"the issued token is refused with {control}"))
        return
    for name, sent, token in _forgeries(issued, header, claims, gate.signing_key):
        asked = f"{route.protected.method} {route.protected.path}, {sent}"
        yield judged("tokens", name, asked, gate.ask(route.protected, token))


def _forgeries(issued: str, header: dict[str, Any], claims: dict[str, Any], signing_key: str | None) -> Iterator[tuple[str, str, str]]:
    algorithm = str(header.get("alg", "HS256"))
    first, _, signature = issued.split(".")
    longer = {**claims, "exp": int(claims.get("exp", 0)) + 10**7}
    for spelling in ("none", "None", "NONE"):
        yield f"alg_{spelling}", f"alg {spelling}, without a signature", f"{_part({**header, 'alg': spelling})}.{_part(claims)}."
    yield "wrong_key", "signed with another key", jwt.encode(claims, _WRONG_KEY, "HS256")
    yield "empty_key", "signed with an empty key", _signed_with_nothing(claims)
    yield "altered_claims", "expiry moved, old signature", f"{first}.{_part(longer)}.{signature}"
    yield "altered_roles", "a role added, old signature", f"{first}.{_part({**claims, 'roles': ['admin'], 'sub': 'admin'})}.{signature}"
    yield "no_signature", "the signature cut off", f"{first}.{_part(claims)}."
    yield (
        "own_key",
        "a key brought along in the header (jwk)",
        jwt.encode(
            claims, _WRONG_KEY, "HS256", headers={"jwk": {"kty": "oct", "k": base64.urlsafe_b64encode(_WRONG_KEY.encode()).decode()}}
        ),
    )
    if signing_key is not None and algorithm.startswith("HS"):
        past = {**claims, "iat": 1_000_000_000, "exp": 1_000_000_060}
        yield "expired", "right in all but its time", jwt.encode(past, signing_key, algorithm)
        endless = {name: value for name, value in claims.items() if name != "exp"}
        yield "without_expiry", "right, and without an end", jwt.encode(endless, signing_key, algorithm)


def _part(document: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


def _signed_with_nothing(claims: dict[str, Any]) -> str:
    signed = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part(claims)}"
    digest = hmac.new(b"", signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"
