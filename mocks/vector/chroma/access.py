"""Who may ask: static tokens, as a deployment with authentication in front of Chroma checks them."""

from collections.abc import Iterable

from mocks.http.message import Request
from mocks.vector.chroma.errors import other

_BEARER = "bearer "


class Access:
    """Accounts by token; without any, everyone may ask."""

    def __init__(self, tokens: Iterable[tuple[str, str]]) -> None:
        self._accounts = dict(tokens)

    def account(self, request: Request) -> str | None:
        """The account of the token sent; None without one that is known."""
        return self._accounts.get(_token(request) or "")

    def check(self, account: str | None) -> None:
        """Raise VectorError where a token is asked for and none that is known was sent."""
        if self._accounts and account is None:
            raise other(401, "Permission denied.")


def _token(request: Request) -> str | None:
    own = request.header("x-chroma-token")
    if own is not None:
        return own.removeprefix("Bearer ").strip()
    given = request.header("authorization") or ""
    return given[len(_BEARER) :].strip() if given[: len(_BEARER)].lower() == _BEARER else None
