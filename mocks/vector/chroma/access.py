"""Who may ask: static tokens, as a deployment with authentication in front of Chroma checks them."""

from collections.abc import Sequence
from dataclasses import dataclass

from mocks.http.message import Request
from mocks.vector.chroma.errors import other
from mocks.vector.keys import account_of, given_key

_HEADER = "x-chroma-token"


@dataclass(frozen=True, slots=True)
class Access:
    """The tokens that are known. No tokens at all: anybody may do anything."""

    tokens: Sequence[str] = ()

    def account(self, request: Request) -> str | None:
        """A name for the token that a request carries, if it is one of those known."""
        return account_of(given_key(request, _HEADER), self.tokens)

    def check(self, account: str | None) -> None:
        """Raise VectorError where a token is asked for and none that is known was sent."""
        if self.tokens and account is None:
            raise other(401, "Permission denied.")
