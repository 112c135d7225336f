"""Who may do what: API keys, some of which may only read."""

from collections.abc import Sequence
from dataclasses import dataclass

from mocks.http.message import Request
from mocks.vector.keys import account_of, given_key, is_among
from mocks.vector.plan import Kind, VectorError

_HEADER = "api-key"
_OPEN = ("/", "/healthz", "/livez", "/readyz")


@dataclass(frozen=True, slots=True)
class Access:
    """No keys at all: anybody may do anything."""

    keys: Sequence[str] = ()
    read_only_keys: Sequence[str] = ()

    def account(self, request: Request) -> str | None:
        """A name for the key that a request carries, if it is one of those known."""
        return account_of(given_key(request, _HEADER), (*self.keys, *self.read_only_keys))

    def check(self, request: Request, route: str, kind: Kind) -> None:
        """Raise VectorError where the request may not be made: 401 without a known key, 403 for writes with one that may only read."""
        if (not self.keys and not self.read_only_keys) or route in _OPEN:
            return
        given = given_key(request, _HEADER)
        if given is None:
            raise VectorError(401, "Must provide an API key or an Authorization bearer token")
        if not is_among(given, (*self.keys, *self.read_only_keys)):
            raise VectorError(401, "Invalid API key or JWT")
        if kind == "write" and not is_among(given, self.keys):
            raise VectorError(403, "Forbidden: Global manage access is required")
