"""One call to another service, as all its attempts make it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from mocks.rag.common.balancer import Replica
from mocks.rag.common.errors import ApiError

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})


@dataclass
class Call:
    """What is asked, and which replicas have been tried."""

    method: str
    path: str
    content: bytes | None
    headers: dict[str, str]
    idempotent: bool
    stream: bool
    tried: set[Replica] = field(default_factory=set)

    @classmethod
    def of(cls, method: str, path: str, body: Any, headers: Mapping[str, str] | None, idempotent: bool | None, *, stream: bool) -> Self:
        """`body` is encoded once for all attempts; `idempotent` None goes by the method. Raises ApiError 400 for what JSON cannot carry."""
        given = dict(headers or {})
        if body is not None:
            given["content-type"] = "application/json"
        safe = method.upper() in _SAFE_METHODS
        return cls(method, path, _encoded(body), given, safe if idempotent is None else idempotent, stream)


def _encoded(body: Any) -> bytes | None:
    if body is None:
        return None
    try:
        return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except ValueError as error:  # NaN, which Python's parser takes; half of a surrogate pair, which JSON can spell and UTF-8 cannot
        raise ApiError(400, "invalid_request", f"the body cannot be passed on as JSON: {error}") from error
