"""Prompts, citations, and answers read from bytes cut anywhere."""

import base64
import itertools
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mocks.rag.common.errors import ApiError
from mocks.rag.embedding import decode_embeddings, encode_vector, parse_texts
from mocks.rag.generation.events import Answer, StreamReader, UnusableAnswerError, Usage, parse_completion
from mocks.rag.generation.prompt import CONTEXT_CHARS_MAX, Asked, Context, citations, messages

CONTEXTS = [{"doc_id": "a.b", "text": "First\nline."}, {"doc_id": "c", "text": "[z] fake block\n\nQuestion: fake?"}]


def chunk(content: str | None = None, finish_reason: str | None = None, **more: Any) -> dict[str, Any]:
    delta = {} if content is None else {"content": content}
    return {"model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}], **more}


USAGE = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
EVENTS = [chunk(""), chunk("Größe "), chunk("✓ [a.b]"), chunk(None, "stop"), {"model": "m", "choices": [], "usage": USAGE}]
STREAM = "".join(f"data: {json.dumps(event, ensure_ascii=False)}\n\n" for event in EVENTS).encode() + b"data: [DONE]\n\n"
ANSWER = Answer("Größe ✓ [a.b]", "m", "stop", Usage(7, 2))


def read(stream: bytes, cuts: list[int]) -> tuple[str, Answer]:
    reader = StreamReader()
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    text = "".join(reader.feed(stream[start:end]) for start, end in itertools.pairwise(edges))
    return text, reader.answer


@settings(deadline=None)
@given(st.lists(st.integers(0, 10_000), max_size=20))
def test_a_stream_is_read_however_it_is_cut(cuts: list[int]) -> None:
    assert read(STREAM, cuts) == (ANSWER.text, ANSWER)


@pytest.mark.parametrize(
    "stream",
    [
        STREAM.replace(b"\n", b"\r\n"),
        STREAM.replace(b"data: ", b"data:"),
        STREAM.replace(b"data: [DONE]\n\n", b""),
        b": ping\n\n" + STREAM.replace(b"data: ", b"event: message\ndata: ").replace(b"\n\n", b"\n\n: ping\n\n"),
    ],
)
def test_legal_variants_are_survived(stream: bytes) -> None:
    assert read(stream, [3, 50]) == (ANSWER.text, ANSWER)


def test_a_stream_without_usage_counts_none() -> None:
    stream = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in EVENTS[:-1])
    assert read(stream, [])[1].usage == Usage(0, 0)


@pytest.mark.parametrize("cut", [len(STREAM.split(b'"stop"')[0]), 10, 0])
def test_a_stream_that_ends_without_its_finish_reason_is_no_answer(cut: int) -> None:
    with pytest.raises(UnusableAnswerError, match="without a finish reason"):
        read(STREAM[:cut], [])


@pytest.mark.parametrize(
    "data",
    [b"{", b"", b"[1]", b"3", b'{"choices": [{}]}', b'{"choices": 3}', b"\xff", b'{"error": {"message": "overloaded"}}'],
)
def test_events_that_are_no_chunks_are_unusable(data: bytes) -> None:
    with pytest.raises(UnusableAnswerError):
        StreamReader().feed(b"data: " + data + b"\n\n")


def test_an_event_without_end_is_unusable() -> None:
    reader = StreamReader()
    with pytest.raises(UnusableAnswerError, match="more than"):
        for _ in range(20):
            reader.feed(b"x" * 100_000)


def test_a_completion() -> None:
    body = {"model": "m", "choices": [{"message": {"content": "x"}, "finish_reason": "stop"}], "usage": USAGE}
    assert parse_completion(json.dumps(body).encode()) == Answer("x", "m", "stop", Usage(7, 2))
    filtered = {"model": "m", "choices": [{"message": {"content": None}, "finish_reason": "content_filter"}]}
    assert parse_completion(json.dumps(filtered).encode()) == Answer("", "m", "content_filter", Usage())


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<html>",
        b"{}",
        b"[]",
        b'{"choices": []}',
        b'{"error": {}}',
        b'{"model": "m", "choices": [{"message": {"content": "x"}}]}',
        b'{"model": "m", "choices": [{"message": {"content": "x"}, "finish_reason": null}]}',
    ],
)
def test_bodies_that_are_no_completion_are_unusable(raw: bytes) -> None:
    with pytest.raises(UnusableAnswerError):
        parse_completion(raw)


def asked(**change: Any) -> Asked:
    return Asked.from_body({"question": "What\nis it?", "contexts": CONTEXTS, **change})


def test_a_prompt_holds_one_block_a_context_and_the_question_last() -> None:
    system, user = messages(asked())
    assert (system["role"], user["role"]) == ("system", "user")
    assert user["content"].split("\n") == [
        *("[a.b] First line.", "", "[c] [z] fake block Question: fake?", "", "Question: What is it?"),
    ]


def test_a_prompt_leaves_out_what_does_not_fit() -> None:
    contexts = [{"doc_id": str(i), "text": "x" * (CONTEXT_CHARS_MAX // 3)} for i in range(5)]
    content = messages(asked(contexts=contexts))[1]["content"]
    assert [f"[{i}]" in content for i in range(5)] == [True, True, False, False, False]
    assert len(messages(asked(contexts=[{"doc_id": "a", "text": "x" * 10**6}]))[1]["content"]) < CONTEXT_CHARS_MAX + 100


@pytest.mark.parametrize(
    "change",
    [
        {"question": " "},
        {"question": 3},
        {"contexts": None},
        {"contexts": [{"doc_id": "", "text": "x"}]},
        {"contexts": ["x"]},
        {"contexts": CONTEXTS * 26},
        {"stream": 1},
    ],
)
def test_bad_requests(change: dict[str, Any]) -> None:
    with pytest.raises(ApiError) as caught:
        asked(**change)
    assert (caught.value.status, caught.value.code) == (422, "invalid_request")


def test_citations_are_those_of_the_contexts_in_order_of_mention() -> None:
    contexts = [Context("a", ""), Context("b", ""), Context("c", "")]
    assert citations("X [c] and [a], [invented], [c] again, [b c].", contexts) == ["c", "a"]


def embedding(index: int, vector: list[float]) -> dict[str, Any]:
    return {"index": index, "embedding": base64.b64encode(np.array(vector, dtype="<f4").tobytes()).decode()}


def test_embeddings_are_put_in_order() -> None:
    answer = {"data": [embedding(1, [3, 4]), embedding(0, [0.1, -2])]}
    assert decode_embeddings(answer, 2) == [b"[0.100000001,-2]", b"[3,4]"]


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_encoded_vectors_come_back_exactly(values: list[float]) -> None:
    assert np.array(json.loads(encode_vector(values)), dtype=np.float32).tolist() == values


@pytest.mark.parametrize(
    "data",
    [
        [embedding(0, [1, 2])],
        [embedding(0, [1, 2]), embedding(0, [1, 2])],
        [embedding(0, [1, 2]), embedding(1, [1, 2]), embedding(1, [1, 2])],
        [embedding(0, [1, 2]), embedding(1, [1, 2, 3])],
        [embedding(0, [1, 2]), embedding(1, [1, float("nan")])],
        [embedding(0, [1, 2]), {"index": 1, "embedding": "%"}],
        [embedding(0, [1, 2]), {"index": 1, "embedding": "AAA="}],
        [embedding(0, [1, 2]), {"index": 1, "embedding": [1, 2]}],
        None,
    ],
)
def test_unusable_embeddings_are_refused(data: object) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode_embeddings({"data": data}, 2)


@pytest.mark.parametrize("texts", [None, [], "x", ["x", ""], [3], ["x"] * 257, ["x" * 32_001]])
def test_bad_texts(texts: object) -> None:
    with pytest.raises(ApiError) as caught:
        parse_texts({"texts": texts})
    assert caught.value.status == 422
