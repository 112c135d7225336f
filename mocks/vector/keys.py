"""Keys and tokens as requests carry them: in a header of the product's own, or as a bearer's."""

import hashlib
import hmac
from collections.abc import Sequence

from mocks.http.message import Request

_BEARER = "Bearer "


def given_key(request: Request, header: str) -> str | None:
    """The key that a request carries: alone in `header` (lower case), or as `Authorization: Bearer`."""
    own = request.header(header)
    if own is not None:
        return own
    bearer = request.header("authorization") or ""
    return bearer.removeprefix(_BEARER) if bearer.startswith(_BEARER) else None


def is_among(key: str | None, known: Sequence[str]) -> bool:
    """Whether it is one of those known; every one is compared, so that the time tells nothing."""
    return key is not None and sum(hmac.compare_digest(key.encode(), one.encode()) for one in known) > 0


def account_of(key: str | None, known: Sequence[str]) -> str | None:
    """A name for a key that is known; the key itself is nobody's business."""
    if key is None or not is_among(key, known):
        return None
    return f"key-{hashlib.blake2b(key.encode(), digest_size=4).hexdigest()}"
