"""One retrieval: cache, then database, then — where the database is away — what is still known."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from mocks.rag.common.errors import ApiError, UpstreamError
from mocks.rag.common.metrics import DEGRADED
from mocks.rag.retrieval.cache import ResultCache, text_key, vector_key
from mocks.rag.retrieval.search import Result, Search

EMBEDDING_DIMENSIONS = 384
TOP_K_MAX = 50
TEXT_CHARS_MAX = 16_000
LEXICAL_RETRIEVAL = "lexical_retrieval"
STALE_CACHE = "stale_cache"
RETRY_AFTER_S = 1
_NUMBERS = (int, float)


@dataclass(frozen=True)
class Wanted:
    """Body of `POST /retrieve`: at least one of `embedding` and `text`."""

    text: str
    embedding: list[float] | None
    top_k: int

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> Wanted:
        """Raises ApiError 422."""
        text, embedding, top_k = body.get("text") or "", body.get("embedding"), body.get("top_k", 5)
        if not isinstance(text, str) or len(text) > TEXT_CHARS_MAX:
            raise _invalid(f"text must be a string of at most {TEXT_CHARS_MAX} characters")
        if not isinstance(top_k, int) or isinstance(top_k, bool) or not 1 <= top_k <= TOP_K_MAX:
            raise _invalid(f"top_k must be a number from 1 to {TOP_K_MAX}")
        if embedding is None and not text.strip():
            raise _invalid("one of embedding and text is needed")
        if embedding is not None and not _is_vector(embedding):
            raise _invalid(f"embedding must be {EMBEDDING_DIMENSIONS} finite numbers")
        return cls(text.replace("\x00", " "), embedding, top_k)  # PostgreSQL's text type cannot hold NUL


class Retrieving:
    """`retrieve` for the route."""

    def __init__(self, search: Search, cache: ResultCache) -> None:
        self._search = search
        self._cache = cache

    async def retrieve(self, wanted: Wanted) -> dict[str, Any]:
        """The body of the answer. Raises ApiError: 503 where neither the database nor a memory has results."""
        key, reasons, search = self._plan(wanted)
        results = await self._cache.get(key)
        cached = results is not None
        if results is None:
            try:
                results = await search()
            except (UpstreamError, psycopg.Error) as error:
                results = self._stale(key, error)
                reasons = [*reasons, STALE_CACHE]
                cached = True
            else:
                await self._cache.put(key, results)
        for reason in reasons:
            DEGRADED.labels(reason).inc()
        return {"results": results, "cached": cached, "degraded": bool(reasons), "degraded_reasons": reasons}

    def _plan(self, wanted: Wanted) -> tuple[str, list[str], Callable[[], Awaitable[list[Result]]]]:
        """Cache key, reasons for being degraded, and the search."""
        embedding = wanted.embedding
        if embedding is None:
            return text_key(wanted.text, wanted.top_k), [LEXICAL_RETRIEVAL], lambda: self._search.by_words(wanted.text, wanted.top_k)
        return vector_key(embedding, wanted.top_k), [], lambda: self._search.by_vector(embedding, wanted.top_k)

    def _stale(self, key: str, error: UpstreamError | psycopg.Error) -> list[Result]:
        results = self._cache.get_stale(key)
        if results is not None:
            return results
        if isinstance(error, UpstreamError):
            raise ApiError(503, error.code, error.message, {"retry-after": str(RETRY_AFTER_S)}) from error
        raise error


def _is_vector(value: Any) -> bool:
    """Finite numbers, as many as the index has dimensions."""
    if not isinstance(value, list) or len(value) != EMBEDDING_DIMENSIONS or any(type(number) not in _NUMBERS for number in value):
        return False
    return math.isfinite(sum(value))


def _invalid(message: str) -> ApiError:
    return ApiError(422, "invalid_request", message)
