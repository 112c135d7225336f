"""Parts of query: frames, follow-ups, honesty, and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mocks.rag.common.errors import ApiError
from mocks.rag.common.registry import Registry
from mocks.rag.query import sse
from mocks.rag.query.honesty import merge, with_reasons
from mocks.rag.query.requests import Ask, SearchFor
from mocks.rag.query.sessions import Sessions, is_follow_up
from mocks.rag.query.upstream import passed_on


async def sent(chunks: list[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def cut(chunks: list[bytes]) -> list[bytes]:
    return [frame async for frame in sse.frames(sent(chunks))]


@given(
    st.lists(st.dictionaries(st.text(max_size=3), st.text(max_size=5), max_size=2), max_size=6), st.lists(st.integers(1, 9), max_size=40)
)
def test_frames_are_whole_however_the_bytes_arrive(payloads: list[dict[str, str]], sizes: list[int]) -> None:
    raw = b"".join(map(sse.encode, payloads))
    chunks = []
    for size in sizes:
        chunks.append(raw[:size])
        raw = raw[size:]
    frames = asyncio.run(cut([*chunks, raw]))
    assert [sse.decode(frame) for frame in frames] == payloads


def test_a_frame_is_handed_on_before_the_next_byte_arrives() -> None:
    async def scenario() -> bytes:
        async def stalled() -> AsyncIterator[bytes]:
            yield b'data: {"delta": "a"}\n\ndata: '
            await asyncio.Event().wait()

        frames = sse.frames(stalled())
        async with asyncio.timeout(5):
            return await anext(frames)

    assert asyncio.run(scenario()) == b'data: {"delta": "a"}\n\n'


@pytest.mark.parametrize(("chunks", "reason"), [([b"data: {"], "ended inside a frame"), ([b"x" * (sse.FRAME_BYTES_MAX + 1)], "more than")])
def test_broken_streams(chunks: list[bytes], reason: str) -> None:
    with pytest.raises(sse.BrokenStreamError, match=reason):
        asyncio.run(cut(chunks))


@pytest.mark.parametrize("frame", [b"data: {\n\n", b"data: []\n\n", b": comment\n\n"])
def test_frames_without_an_object(frame: bytes) -> None:
    with pytest.raises(sse.BrokenStreamError):
        sse.decode(frame)


def test_deltas_are_known_by_their_first_bytes() -> None:
    assert [sse.is_delta(sse.encode(payload)) for payload in ({"delta": "x"}, {"done": True}, {"error": {"delta": 1}})] == [
        True,
        False,
        False,
    ]
    assert sse.is_delta(b'data: {"delta": "with a space"}\n\n')


def test_reasons_are_merged_in_order_and_once() -> None:
    assert merge(["a", "b"], [], ["b", "c"]) == ["a", "b", "c"]
    assert with_reasons({"answer": "x", "degraded": False}, []) == {"answer": "x", "degraded": False, "degraded_reasons": []}
    merged = with_reasons({"degraded": True, "degraded_reasons": ["fallback_provider"]}, ["lexical_retrieval", "stale_cache"])
    assert merged == {"degraded": True, "degraded_reasons": ["lexical_retrieval", "stale_cache", "fallback_provider"]}


@pytest.mark.parametrize(
    ("question", "follows"),
    [
        ("And what does it return?", True),
        ("Why?", True),
        ("What about os.walk?", True),
        ("When was that added?", True),
        ("What does os.walk return?", False),
        ("Which release number does pdb.Pdb.default have?", False),
    ],
)
def test_what_a_follow_up_looks_like(question: str, follows: bool) -> None:
    assert is_follow_up(question) is follows


def test_follow_ups_are_about_the_last_question_that_stands_alone() -> None:
    sessions = Sessions(Registry(None))
    turns = ["What does os.walk do?", "What does it return?", "And why?", "What is json.dumps?", "Is it slow?"]
    assert [sessions.resolve("s", turn) for turn in turns] == [
        "What does os.walk do?",
        "What does os.walk do? What does it return?",
        "What does os.walk do? And why?",
        "What is json.dumps?",
        "What is json.dumps? Is it slow?",
    ]
    assert sessions.resolve("other", "And why?") == "And why?"
    assert sessions.resolve(None, "And why?") == "And why?"


def test_a_request_has_its_defaults() -> None:
    assert Ask.from_body({"question": " q "}) == Ask("q", 5, False, None)
    assert SearchFor.from_body({"query": "q", "top_k": 50}) == SearchFor("q", 50)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"question": " "},
        {"question": 1},
        {"question": "x" * 4_001},
        {"question": "q", "top_k": 0},
        {"question": "q", "top_k": 51},
        {"question": "q", "top_k": "5"},
        {"question": "q", "top_k": True},
        {"question": "q", "stream": 1},
        {"question": "q", "session_id": ""},
        {"question": "q", "session_id": 7},
        {"question": "q", "session_id": "s" * 129},
    ],
)
def test_refuses(body: dict[str, Any]) -> None:
    with pytest.raises(ApiError) as refused:
        Ask.from_body(body)
    assert (refused.value.status, refused.value.code) == (422, "invalid_request")


def test_a_refusal_of_a_callee_keeps_status_code_and_retry_after() -> None:
    known = passed_on("generation", 429, b'{"error": {"code": "rate_limited", "message": "slow down"}}', {"retry-after": "3"})
    assert (known.status, known.code, known.message) == (429, "rate_limited", "generation: slow down")
    assert known.headers == {"x-should-retry": "false", "retry-after": "3"}
    unknown = passed_on("retrieval", 500, b"<html>", {})
    assert (unknown.status, unknown.code, unknown.message) == (500, "retrieval_error", "retrieval: status 500")
