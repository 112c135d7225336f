"""Who may do what: API keys, some of which may only read."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from mocks.http.message import Request
from mocks.vector.plan import Kind, VectorError

_OPEN = ("/", "/healthz", "/livez", "/readyz")
_BEARER = "Bearer "


@dataclass(frozen=True, slots=True)
class Access:
    """No keys at all: anybody may do anything."""

    keys: Sequence[str] = ()
    read_only_keys: Sequence[str] = ()

    def account(self, request: Request) -> str | None:
        """A name for the key that a request carries, if it is one of those known; the key itself is nobody's business."""
        given = _given(request)
        if given is None or not _among(given, (*self.keys, *self.read_only_keys)):
            return None
        return f"key-{hashlib.blake2b(given.encode(), digest_size=4).hexdigest()}"

    def check(self, request: Request, route: str, kind: Kind) -> None:
        """Raise VectorError where the request may not be made: 401 without a known key, 403 for writes with one that may only read."""
        if (not self.keys and not self.read_only_keys) or route in _OPEN:
            return
        given = _given(request)
        if given is None:
            raise VectorError(401, "Must provide an API key or an Authorization bearer token")
        if not _among(given, (*self.keys, *self.read_only_keys)):
            raise VectorError(401, "Invalid API key or JWT")
        if kind == "write" and not _among(given, self.keys):
            raise VectorError(403, "Forbidden: Global manage access is required")


def _given(request: Request) -> str | None:
    key = request.header("api-key")
    if key is not None:
        return key
    bearer = request.header("authorization") or ""
    return bearer.removeprefix(_BEARER) if bearer.startswith(_BEARER) else None


def _among(given: str, keys: Sequence[str]) -> bool:
    return sum(hmac.compare_digest(given.encode(), key.encode()) for key in keys) > 0  # every key is compared, known or not
