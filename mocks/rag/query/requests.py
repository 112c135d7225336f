"""What clients may ask, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mocks.rag.common.errors import ApiError

QUESTION_CHARS_MAX = 4_000
SESSION_ID_CHARS_MAX = 128
TOP_K_DEFAULT = 5
TOP_K_MAX = 50


@dataclass(frozen=True)
class Ask:
    """Body of `POST /ask`."""

    question: str
    top_k: int
    stream: bool
    session_id: str | None

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> Ask:
        """Raises ApiError 422."""
        stream = body.get("stream", False)
        if not isinstance(stream, bool):
            raise _invalid("stream must be true or false")
        session_id = body.get("session_id")
        if session_id is not None and not (isinstance(session_id, str) and 0 < len(session_id) <= SESSION_ID_CHARS_MAX):
            raise _invalid(f"session_id must be a string of 1 to {SESSION_ID_CHARS_MAX} characters")
        return cls(_words(body, "question"), _top_k(body), stream, session_id)


@dataclass(frozen=True)
class SearchFor:
    """Body of `POST /search`."""

    query: str
    top_k: int

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> SearchFor:
        """Raises ApiError 422."""
        return cls(_words(body, "query"), _top_k(body))


def _words(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value.strip() or len(value) > QUESTION_CHARS_MAX:
        raise _invalid(f"{name} must be a text of 1 to {QUESTION_CHARS_MAX} characters")
    return value.strip()


def _top_k(body: Mapping[str, Any]) -> int:
    top_k = body.get("top_k", TOP_K_DEFAULT)
    if not isinstance(top_k, int) or isinstance(top_k, bool) or not 1 <= top_k <= TOP_K_MAX:
        raise _invalid(f"top_k must be a number from 1 to {TOP_K_MAX}")
    return top_k


def _invalid(message: str) -> ApiError:
    return ApiError(422, "invalid_request", message)
