"""Retrieval without its databases: what is served when, and what it says about itself."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from mocks.rag.common.checks import Check
from mocks.rag.common.errors import ApiError, UpstreamError
from mocks.rag.common.registry import Registry
from mocks.rag.document.chunking import Chunk
from mocks.rag.document.events import IngestEvent
from mocks.rag.retrieval.cache import HOLD_OFF_S, ResultCache, text_key, vector_key
from mocks.rag.retrieval.retrieving import Retrieving, Wanted
from mocks.rag.vectorstore.base import Result

FOUND: list[Result] = [{"doc_id": "d", "chunk_id": "d#0", "text": "t", "score": 0.5}]
BY_WORDS: list[Result] = [{"doc_id": "w", "chunk_id": "w#0", "text": "t", "score": 0.25}]
VECTOR = [0.5] * 384


class FakeSearch:
    """A vector store that counts and fails when told to; `words_fail` False: only by vector."""

    checks: Mapping[str, Check] = {}

    def __init__(self) -> None:
        self.calls = 0
        self.failure: Exception | None = None
        self.words_fail = True

    async def by_vector(self, embedding: Sequence[float], top_k: int) -> list[Result]:
        self.calls += 1
        if self.failure is not None:
            raise self.failure
        return FOUND

    async def by_words(self, text: str, top_k: int) -> list[Result]:
        if self.words_fail:
            return await self.by_vector([], top_k)
        return BY_WORDS

    async def index(self, event: IngestEvent, chunks: Sequence[Chunk], vectors: Sequence[Sequence[float]]) -> bool:
        raise NotImplementedError("retrieval only searches")

    async def close(self) -> None:
        """It holds nothing."""


class FakeRedis(Redis):
    """A dictionary that can be away."""

    def __init__(self) -> None:
        self.entries: dict[str, Any] = {}
        self.calls = 0
        self.away = False

    async def _call(self) -> None:
        self.calls += 1
        if self.away:
            raise RedisConnectionError("refused")

    async def get(self, name: Any) -> Any:
        await self._call()
        return self.entries.get(name)

    async def set(self, name: Any, value: Any, ex: Any = None, **_: Any) -> Any:  # type: ignore[override]  # of its eleven options one is used
        await self._call()
        self.entries[name] = value

    def __del__(self, *_: Any) -> None:
        """There is no connection to close."""


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def wanted(**body: Any) -> Wanted:
    return Wanted.from_body({"embedding": VECTOR, **body})


def test_a_failing_redis_is_left_alone_for_the_hold_off() -> None:
    redis, clock, search = FakeRedis(), Clock(), FakeSearch()
    retrieving = Retrieving(search, ResultCache(redis, Registry(None), clock))

    async def scenario() -> list[int]:
        calls = []
        redis.away = True
        for top_k in (1, 2, 3):
            await retrieving.retrieve(wanted(top_k=top_k))
            calls.append(redis.calls)
        clock.now_s += HOLD_OFF_S
        redis.away = False
        await retrieving.retrieve(wanted(top_k=4))
        return [*calls, redis.calls]

    assert asyncio.run(scenario()) == [1, 1, 1, 3]  # one failure, silence, then a look-up and a store
    assert (search.calls, len(redis.entries)) == (4, 1)


def test_stale_results_only_while_the_database_is_away() -> None:
    search = FakeSearch()
    redis = FakeRedis()
    cache = ResultCache(redis, Registry(None))
    retrieving = Retrieving(search, cache)

    async def scenario() -> list[dict[str, Any]]:
        answers = [await retrieving.retrieve(wanted())]
        cache._memory.clear()  # as after MEMORY_TTL_S
        redis.entries.clear()
        search.failure = UpstreamError("postgres", "timeout", "no answer")
        answers.append(await retrieving.retrieve(wanted()))
        with pytest.raises(ApiError) as refused:
            await retrieving.retrieve(wanted(top_k=9))
        assert (refused.value.status, refused.value.code, refused.value.headers) == (503, "postgres_timeout", {"retry-after": "1"})
        search.failure = None
        return [*answers, await retrieving.retrieve(wanted())]

    fresh = {"results": FOUND, "cached": False, "degraded": False, "degraded_reasons": []}
    stale = {"results": FOUND, "cached": True, "degraded": True, "degraded_reasons": ["stale_cache"]}
    assert asyncio.run(scenario()) == [fresh, stale, fresh]


def test_lexical_and_stale_are_both_named() -> None:
    search = FakeSearch()
    cache = ResultCache(FakeRedis(), Registry(None))

    async def scenario() -> dict[str, Any]:
        words = Wanted.from_body({"text": "some words"})
        await Retrieving(search, cache).retrieve(words)
        cache._memory.clear()
        search.failure = UpstreamError("postgres", "connect_error", "refused")
        cache._redis = FakeRedis()
        return await Retrieving(search, cache).retrieve(words)

    assert asyncio.run(scenario())["degraded_reasons"] == ["lexical_retrieval", "stale_cache"]


def test_without_the_vector_store_words_answer_and_older_results_only_where_they_cannot() -> None:
    redis, search = FakeRedis(), FakeSearch()
    retrieving = Retrieving(search, ResultCache(redis, Registry(None)))

    async def scenario() -> list[tuple[list[Result], bool, list[str]]]:
        answers = [await retrieving.retrieve(wanted(text="some words"))]  # remembered, should nothing else be left
        retrieving._cache._memory.clear()
        redis.entries.clear()
        search.failure, search.words_fail = UpstreamError("vector", "circuit_open", "open"), False
        answers += [await retrieving.retrieve(wanted(text="some words")) for _ in range(2)]
        search.failure, search.words_fail = UpstreamError("vector", "timeout", "slow"), True
        answers.append(await retrieving.retrieve(wanted(text="some words", top_k=5)))
        redis.entries.clear()
        retrieving._cache._memory.clear()
        retrieving._cache._stale.clear()
        with pytest.raises(ApiError) as refused:
            await retrieving.retrieve(wanted(text="some words"))
        assert (refused.value.status, refused.value.code) == (503, "vector_timeout")
        return [(answer["results"], answer["cached"], answer["degraded_reasons"]) for answer in answers]

    assert asyncio.run(scenario()) == [
        (FOUND, False, []),
        (BY_WORDS, False, ["lexical_retrieval"]),
        (BY_WORDS, True, ["lexical_retrieval"]),
        (BY_WORDS, True, ["lexical_retrieval"]),
    ]


def test_without_the_database_words_are_not_even_tried() -> None:
    search = FakeSearch()
    search.failure = UpstreamError("postgres", "timeout", "slow")

    async def scenario() -> None:
        with pytest.raises(ApiError):
            await Retrieving(search, ResultCache(FakeRedis(), Registry(None))).retrieve(wanted(text="some words"))

    asyncio.run(scenario())
    assert search.calls == 1


def test_without_words_a_lost_vector_store_leaves_older_results() -> None:
    redis, search = FakeRedis(), FakeSearch()
    retrieving = Retrieving(search, ResultCache(redis, Registry(None)))

    async def scenario() -> list[str]:
        await retrieving.retrieve(wanted())
        retrieving._cache._memory.clear()
        redis.entries.clear()
        search.failure = UpstreamError("vector", "connect_error", "refused")
        reasons: list[str] = (await retrieving.retrieve(wanted()))["degraded_reasons"]
        return reasons

    assert asyncio.run(scenario()) == ["stale_cache"]


def test_a_new_epoch_is_another_name_space(tmp_path: Path) -> None:
    file = tmp_path / "registry.json"
    file.write_text('{"services": {}, "settings": {"cache_epoch": 0}}')
    registry, redis, search = Registry(file), FakeRedis(), FakeSearch()
    retrieving = Retrieving(search, ResultCache(redis, registry))

    async def scenario() -> list[bool]:
        cached = [(await retrieving.retrieve(wanted()))["cached"] for _ in range(2)]
        file.write_text('{"services": {}, "settings": {"cache_epoch": 10}}')
        assert registry.reload()
        return [*cached, (await retrieving.retrieve(wanted()))["cached"]]

    assert asyncio.run(scenario()) == [False, True, False]
    assert sorted(name.split(":")[1] for name in redis.entries) == ["0", "10"]


def test_keys_tell_apart_what_differs() -> None:
    keys = [vector_key(VECTOR, 5), vector_key(VECTOR, 6), vector_key([*VECTOR[1:], 0.25], 5), text_key("a b", 5), text_key("a c", 5)]
    assert len(set(keys)) == len(keys)
    assert text_key(" a  b\n", 5) == text_key("a b", 5)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), True, "1", None])
def test_vectors_are_finite_numbers(number: Any) -> None:
    with pytest.raises(ApiError, match="embedding must be 384 finite numbers"):
        wanted(embedding=[number, *VECTOR[1:]])


def test_text_that_postgresql_cannot_hold_is_searched_for_without_it() -> None:
    assert Wanted.from_body({"text": "a\x00b"}) == Wanted("a b", None, 5)
