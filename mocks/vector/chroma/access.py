"""Who may ask: static tokens, as a deployment with authentication in front of Chroma checks them."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from mocks.http.message import Request
from mocks.vector.chroma.errors import other

_BEARER = "Bearer "


@dataclass(frozen=True, slots=True)
class Access:
    """The tokens that are known. No tokens at all: anybody may do anything."""

    tokens: Sequence[str] = ()

    def account(self, request: Request) -> str | None:
        """A name for the token that a request carries, if it is one of those known; the token itself is nobody's business."""
        given = _given(request)
        if given is None or not sum(hmac.compare_digest(given.encode(), token.encode()) for token in self.tokens):
            return None
        return f"key-{hashlib.blake2b(given.encode(), digest_size=4).hexdigest()}"

    def check(self, account: str | None) -> None:
        """Raise VectorError where a token is asked for and none that is known was sent."""
        if self.tokens and account is None:
            raise other(401, "Permission denied.")


def _given(request: Request) -> str | None:
    """`X-Chroma-Token` holds the token alone; `Authorization` as a bearer's."""
    own = request.header("x-chroma-token")
    if own is not None:
        return own
    bearer = request.header("authorization") or ""
    return bearer.removeprefix(_BEARER) if bearer.startswith(_BEARER) else None
