"""One retrieval: cache, then a search by vector, then — where that is not to be had — by words, then what is still known.

Words are in the database. So they are no help where the database is away; they are where nothing but the vector store is, or where
nobody gave a vector. They come before older results of the same question: a weaker ranking of today's documents is worth more than a good
one that may name documents which have changed since.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from mocks.rag.common.errors import ApiError, UpstreamError
from mocks.rag.common.metrics import DEGRADED
from mocks.rag.retrieval.cache import ResultCache, text_key, vector_key
from mocks.rag.vectorstore.base import DIMENSIONS, Result, VectorStore
from mocks.rag.vectorstore.points import CALLEE as VECTOR

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
            raise _invalid(f"embedding must be {DIMENSIONS} finite numbers")
        return cls(text.replace("\x00", " "), embedding, top_k)  # PostgreSQL's text type cannot hold NUL


@dataclass(frozen=True)
class _Way:
    """A way to results: their key in the cache, why it is not the preferred one, and the search."""

    key: str
    reasons: tuple[str, ...]
    search: Callable[[], Awaitable[list[Result]]]


class Retrieving:
    """`retrieve` for the route."""

    def __init__(self, store: VectorStore, cache: ResultCache) -> None:
        self._store = store
        self._cache = cache

    async def retrieve(self, wanted: Wanted) -> dict[str, Any]:
        """The body of the answer. Raises ApiError: 503 where neither a search nor a memory has results."""
        ways = self._ways(wanted)
        failures: list[UpstreamError | psycopg.Error] = []
        for way in ways:
            results = await self._cache.get(way.key)
            if results is not None:
                return _answer(results, way.reasons, cached=True)
            try:
                results = await way.search()
            except (UpstreamError, psycopg.Error) as error:
                failures.append(error)
                if not _is_of_vector_store(error):
                    break
            else:
                await self._cache.put(way.key, results)
                return _answer(results, way.reasons, cached=False)
        return self._stale(ways, failures[-1])

    def _ways(self, wanted: Wanted) -> list[_Way]:
        """The preferred one first."""
        by_words = _Way(text_key(wanted.text, wanted.top_k), (LEXICAL_RETRIEVAL,), lambda: self._store.by_words(wanted.text, wanted.top_k))
        embedding = wanted.embedding
        if embedding is None:
            return [by_words]
        by_vector = _Way(vector_key(embedding, wanted.top_k), (), lambda: self._store.by_vector(embedding, wanted.top_k))
        return [by_vector, by_words] if wanted.text.strip() else [by_vector]

    def _stale(self, ways: Sequence[_Way], error: UpstreamError | psycopg.Error) -> dict[str, Any]:
        for way in ways:
            results = self._cache.get_stale(way.key)
            if results is not None:
                return _answer(results, (*way.reasons, STALE_CACHE), cached=True)
        if isinstance(error, UpstreamError):
            raise ApiError(503, error.code, error.message, {"retry-after": str(RETRY_AFTER_S)}) from error
        raise error


def _answer(results: list[Result], reasons: tuple[str, ...], *, cached: bool) -> dict[str, Any]:
    for reason in reasons:
        DEGRADED.labels(reason).inc()
    return {"results": results, "cached": cached, "degraded": bool(reasons), "degraded_reasons": list(reasons)}


def _is_of_vector_store(error: UpstreamError | psycopg.Error) -> bool:
    return isinstance(error, UpstreamError) and error.callee == VECTOR


def _is_vector(value: Any) -> bool:
    """Finite numbers, as many as the index has dimensions."""
    if not isinstance(value, list) or len(value) != DIMENSIONS or any(type(number) not in _NUMBERS for number in value):
        return False
    return math.isfinite(sum(value))


def _invalid(message: str) -> ApiError:
    return ApiError(422, "invalid_request", message)
