"""What is known of requests that have come before: bounded, and never anything but what would be said anew."""

from __future__ import annotations

import json
from collections.abc import Hashable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mocks.llm.answer import Answer, Choice, Usage
from mocks.llm.memory import CHOICE_BYTES, Memory
from mocks.llm.template import Template
from tests.unit.mocks_llm.served import ANSWER, EMBEDDINGS_PATH, Served, chat


def test_what_is_asked_again_stays_and_the_rest_is_forgotten() -> None:
    memory: Memory[int] = Memory(most_bytes=40)  # two generations of 20
    for number in range(10):
        memory.keep("a", b"%05d" % number, number)
        memory.recall("a", b"00000")
    known = [number for number in range(10) if memory.recall("a", b"%05d" % number) is not None]
    assert 0 in known
    assert 3 <= len(known) <= 8
    assert memory.recall("b", b"00000") is None
    memory.forget()
    assert memory.recall("a", b"00000") is None


def test_what_is_too_large_is_not_kept() -> None:
    memory: Memory[int] = Memory()
    memory.keep("a", b"x" * 70_000, 1)
    memory.keep("a", b"x", 2, size=70_000)
    assert [memory.recall("a", body) for body in (b"x" * 70_000, b"x")] == [None, None]


@given(steps=st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=60))
def test_what_is_remembered_is_what_was_kept(steps: list[tuple[int, bool]]) -> None:
    memory: Memory[int] = Memory(most_bytes=12)
    for number, keep in steps:
        if keep:
            memory.keep("a", b"%d" % number, number)
        assert memory.recall("a", b"%d" % number) in ({number} if keep else {number, None})


def encoded(answer: Answer) -> bytes:
    return json.dumps({"id": answer.id, "created": answer.created, "text": answer.choices[0].text}).encode()


@given(text=st.text(max_size=30), token=st.text("0123456789abcdef", min_size=1, max_size=40), created=st.integers(0, 2**33))
def test_a_filled_template_is_the_answer_encoded_anew(text: str, token: str, created: int) -> None:
    answer = Answer("", "m", 0, (Choice((text,)),), Usage(1, 1), 1)
    template = Template.of(encoded, "id-", answer)
    assert template is not None
    assert template.fill(token, created) == encoded(Answer(f"id-{token}", "m", created, answer.choices, answer.usage, 1))


@pytest.mark.parametrize(
    "encode",
    [
        lambda answer: answer.id[:9].encode(),
        lambda answer: f"{answer.id} {answer.created + 1}".encode(),
        lambda answer: f"{answer.id.upper()} {answer.created}".encode(),
    ],
)
def test_there_is_no_template_where_an_id_or_a_time_is_used_in_another_way(encode: Any) -> None:
    assert Template.of(encode, "id-", Answer("", "m", 0, (Choice(()),), Usage(1))) is None


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/openai/v1/chat/completions", "/v1/responses", "/v1/messages"])
def test_a_repeated_request_gets_the_same_with_an_id_of_its_own(path: str) -> None:
    served = Served()
    body = {"model": "rag-chat", "input": chat()["messages"]} if path == "/v1/responses" else chat(max_tokens=50)
    headers = [("anthropic-version", "2023-06-01")]
    documents = [served.answered(body, path, headers=headers).document for _ in range(4)]  # the last from a template
    assert ANSWER in json.dumps(documents[0])
    assert {document["id"][:-1] for document in documents} == {documents[0]["id"][:-1]}
    assert [document["id"][-1] for document in documents] == ["1", "2", "3", "4"]
    alike = [json.dumps(document).replace(document["id"].partition("_")[2] or document["id"], "X") for document in documents]
    assert len({json.dumps(json.loads(one) | {"created": 0, "created_at": 0, "completed_at": 0}) for one in alike}) == 1


def test_a_fault_meets_repeated_requests_as_it_meets_new_ones() -> None:
    served = Served(embedding_dimensions=8)
    vectors = {"model": "rag-embedding", "input": ["a", "b"], "encoding_format": "float"}
    for _ in range(2):
        before = served.answered(vectors, EMBEDDINGS_PATH).document, served.answered(chat()).document
    served.faults.put("few", {"type": "embedding_count_mismatch"})
    served.faults.put("model", {"type": "wrong_model"})
    assert len(served.answered(vectors, EMBEDDINGS_PATH).document["data"]) == 1
    assert served.answered(chat()).document["model"] != "rag-chat"
    served.faults.clear()
    after = served.answered(vectors, EMBEDDINGS_PATH).document, served.answered(chat()).document
    assert after[0] == before[0]
    assert after[1]["choices"] == before[1]["choices"]


class Weighed(Memory[Any]):
    """A memory that tells what it was told of the size of what it keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def keep(self, address: Hashable, body: bytes, known: Any, size: int = 0) -> None:
        self.sizes.append(size)
        super().keep(address, body, known, size)


@pytest.mark.parametrize("profile", [{}, {"ttft_ms": 0, "itl_ms": 0}])
def test_what_came_once_is_not_kept_and_answers_count_not_only_the_short_bodies_that_ask_for_them(profile: dict[str, Any]) -> None:
    served = Served(**profile)
    served.engine.memory = memory = Weighed()
    sizes = []
    for body in (chat(), chat(n=3), chat(), chat(n=3), chat(), chat(n=3)):
        served.answered(body)
        sizes.append(list(memory.sizes))
    first, second = CHOICE_BYTES, 3 * CHOICE_BYTES
    assert sizes == [[], [], [first], [first, second], [first, second], [first, second]]


def test_vectors_that_were_asked_for_once_are_not_kept() -> None:
    served = Served(embedding_dimensions=8)
    served.engine.vectors = memory = Weighed()
    sizes = []
    for _ in range(3):
        served.answered({"model": "rag-embedding", "input": ["a", "b"]}, EMBEDDINGS_PATH)
        sizes.append(list(memory.sizes))
    assert sizes == [[], [2 * 8 * 12], [2 * 8 * 12]]
