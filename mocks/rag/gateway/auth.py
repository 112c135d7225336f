"""Who is calling: API keys, and tokens (JWT, HS256) issued for them.

A token stands for the key it was issued for: it ends when it expires or when the key is withdrawn, and its roles are those the key
has now. Only a key can obtain a token, so a stolen token cannot renew itself.

Roles: any valid key may ask, search, ingest and read its own usage; `admin` is needed where answers concern other clients or
the inside of the system (`/api/health/detailed`).

Every refusal and every issue goes to the audit log (logger `audit`), never the credential itself.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

import jwt
from starlette.requests import Request

from mocks.rag.common.app import ApiError
from mocks.rag.common.keys import ApiKey, KeyStore
from mocks.rag.common.log import get_logger
from mocks.rag.common.metrics import AUTH_FAILURES

ISSUER = "rag-gateway"
ALGORITHM = "HS256"
ADMIN = "admin"
_CLAIMS = ["sub", "iat", "exp", "iss"]


@dataclass(frozen=True)
class Caller:
    """The key behind a request. `by_token` when it came as a JWT."""

    key: ApiKey
    by_token: bool


@dataclass(frozen=True)
class IssuedToken:
    """A new token and how long it lives."""

    access_token: str
    expires_in_s: int


class Authenticator:
    """Checks bearer credentials and issues tokens. `on_failure` is called for every refusal."""

    def __init__(
        self, keys: KeyStore, *, secret: str, token_ttl_s: int, on_failure: Callable[[], None], clock: Callable[[], float] = time.time
    ) -> None:
        self._keys = keys
        self._secret = secret
        self._token_ttl_s = token_ttl_s
        self._on_failure = on_failure
        self._clock = clock
        self._audit = get_logger("audit")

    def authenticate(self, request: Request) -> Caller:
        """The caller. Raises ApiError 401."""
        scheme, _, credential = request.headers.get("authorization", "").partition(" ")
        credential = credential.strip()
        if not scheme:
            raise self._refuse(request, "missing", "a bearer token is needed")
        if scheme.lower() != "bearer" or not credential:
            raise self._refuse(request, "malformed", "the authorization header must be: Bearer TOKEN")
        key = self._keys.find_by_token(credential)
        if key is not None:
            return Caller(key, by_token=False)
        if credential.count(".") == 2:
            return Caller(self._key_of_token(request, credential), by_token=True)
        raise self._refuse(request, "unknown_key", "the API key is not valid")

    def require(self, request: Request, caller: Caller, role: str) -> None:
        """Raises ApiError 403 unless the caller has the role."""
        if role not in caller.key.roles:
            raise self._refuse(request, "forbidden", f"the role {role} is needed", status=403, key=caller.key)

    def issue(self, request: Request, caller: Caller) -> IssuedToken:
        """A token for the caller's key. Raises ApiError 403 when the caller came with a token."""
        if caller.by_token:
            raise self._refuse(request, "forbidden", "a token is issued for an API key only", status=403, key=caller.key)
        now_s = int(self._clock())
        token_id = secrets.token_hex(8)
        claims = {"iss": ISSUER, "sub": caller.key.id, "iat": now_s, "exp": now_s + self._token_ttl_s, "jti": token_id}
        self._audit.info("token_issued", key_id=caller.key.id, client=caller.key.client, token_id=token_id, ttl_s=self._token_ttl_s)
        return IssuedToken(jwt.encode(claims, self._secret, ALGORITHM), self._token_ttl_s)

    def _key_of_token(self, request: Request, token: str) -> ApiKey:
        try:
            # Expiry is compared below, by the injected clock.
            claims = jwt.decode(
                token, self._secret, [ALGORITHM], issuer=ISSUER, options={"require": _CLAIMS, "verify_exp": False, "verify_iat": False}
            )
        except jwt.InvalidTokenError as error:
            raise self._refuse(request, "invalid_token", "the token is not valid") from error
        if not isinstance(claims["exp"], int) or claims["exp"] <= self._clock():
            raise self._refuse(request, "expired_token", "the token has expired")
        key = self._keys.find_by_id(claims["sub"])
        if key is None:
            raise self._refuse(request, "revoked_key", "the key behind the token was withdrawn")
        return key

    def _refuse(self, request: Request, reason: str, message: str, *, status: int = 401, key: ApiKey | None = None) -> ApiError:
        AUTH_FAILURES.labels(reason).inc()
        self._on_failure()
        self._audit.warning(
            "access_refused",
            reason=reason,
            path=request.url.path,
            remote=request.client.host if request.client else None,
            key_id=key.id if key else None,
        )
        headers = {"www-authenticate": "Bearer"} if status == 401 else None
        return ApiError(status, reason, message, headers)
