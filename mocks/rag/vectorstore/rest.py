"""Calls to a vector store over HTTP: JSON in, JSON out, and errors in the words of this stack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mocks.rag.common.client import ServiceClient
from mocks.rag.common.errors import UpstreamError
from mocks.rag.common.outbound import status_outcome
from mocks.rag.vectorstore.points import CALLEE, CollectionMissingError, StoreRefusedError

_BUSY = frozenset({408, 429})
"""Refusals that say nothing against the request."""
_REASON_CHARS_MAX = 300


class Rest:
    """All calls are repeatable: points have ids of their own, and what was removed stays removed. `reason` finds it in an error's body."""

    def __init__(self, client: ServiceClient, reason: Callable[[Any], str]) -> None:
        self._client = client
        self._reason = reason

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """The answer's body. Raises UpstreamError, of which `CollectionMissingError` for 404 and `StoreRefusedError` for other 4xx."""
        response = await self._client.request(method, path, json=body, idempotent=True)
        status = response.status_code
        try:
            answer = response.json()
        except ValueError as error:
            if status < 300:
                raise unusable(error) from error
            answer = None
        if status < 300:
            return answer
        words = f"status {status}: {self._words(answer) or response.text[:_REASON_CHARS_MAX]}"
        if status == 404:
            raise CollectionMissingError(words)
        if 400 <= status < 500 and status not in _BUSY:
            raise StoreRefusedError(words)
        raise UpstreamError(CALLEE, status_outcome(status) if status >= 400 else "error", words)

    async def close(self) -> None:
        """Close connections."""
        await self._client.close()

    def _words(self, answer: Any) -> str:
        try:
            return self._reason(answer)[:_REASON_CHARS_MAX]
        except (KeyError, TypeError, IndexError):
            return ""


def unusable(error: Exception) -> UpstreamError:
    """For an answer with a good status that is not what was asked for."""
    return UpstreamError(CALLEE, "error", f"unusable answer: {type(error).__name__}: {error}")
