"""Bodies that are not what their status promises."""

import json
from typing import Any

import pytest

from mocks.llm.answer import CHAT, EMBEDDINGS, MESSAGES, RESPONSES, Usage
from mocks.llm.plan import Whole
from tests.unit.mocks_llm.faults.answering import TEXT, Asked, Met, meet

ROUTES = (CHAT, RESPONSES, MESSAGES, EMBEDDINGS)


def whole(document: dict[str, Any] | list[dict[str, Any]], route: str = CHAT) -> Whole:
    found = meet(document, Asked(route)).whole  # type: ignore[arg-type]  # a list of documents is one
    assert found is not None
    return found


def value(document: dict[str, Any], route: str = CHAT) -> Any:
    return json.loads(whole(document, route).body)


@pytest.mark.parametrize("route", ROUTES)
def test_bytes_are_broken_in_their_several_ways(route: str) -> None:
    good = whole([], route)
    size = len(good.body)
    assert whole({"type": "empty_body"}, route) == Whole(b"")
    assert whole({"type": "truncated_json"}, route) == Whole(good.body[: size // 2])
    assert whole({"type": "truncated_json", "share": 0.9}, route) == Whole(good.body[: int(size * 0.9)])
    assert whole({"type": "short_body"}, route) == Whole(good.body[: size // 2], length=size)
    assert whole({"type": "invalid_json"}, route) == Whole(good.body[:-1] + b",}")


@pytest.mark.parametrize("name", ["truncated_json", "invalid_json"])
def test_no_parser_takes_it(name: str) -> None:
    with pytest.raises(ValueError, match="line 1 column"):
        value({"type": name})


def test_an_error_comes_as_a_success() -> None:
    error = {"message": "The server had an error while processing your request. Sorry about that!", "type": "server_error"}
    assert value({"type": "error_in_ok"}) == {"error": {**error, "param": None, "code": None}}
    assert value({"type": "error_in_ok"}, RESPONSES) == {"error": {**error, "param": None, "code": None}}
    assert value({"type": "error_in_ok"}, MESSAGES)["error"] == {"type": "overloaded_error", "message": "Overloaded"}
    assert whole({"type": "error_in_ok"}).status == 200


@pytest.mark.parametrize(("route", "field"), [(CHAT, "choices"), (RESPONSES, "output"), (MESSAGES, "content"), (EMBEDDINGS, "data")])
def test_a_field_is_missing_and_nothing_else(route: str, field: str) -> None:
    good = value([], route)  # type: ignore[arg-type]  # no fault
    without = {name: one for name, one in good.items() if name != field}
    assert value({"type": "missing_field"}, route) == without != good
    without_usage = {name: one for name, one in good.items() if name != "usage"}
    assert value({"type": "missing_field", "field": "usage"}, route) == without_usage
    assert value({"type": "usage_missing", "how": "absent"}, route) == without_usage


def message(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = value(document)["choices"][0]["message"]
    return found


def test_content_is_null_empty_or_a_refusal() -> None:
    assert message({"type": "null_content"})["content"] is None
    assert message({"type": "null_content", "how": "empty"})["content"] == ""
    refused = message({"type": "null_content", "how": "refusal"})
    assert (refused["content"], refused["refusal"]) == (None, "I'm sorry, but I can't assist with that request.")
    assert value({"type": "null_content"}, MESSAGES)["content"] == []
    assert value({"type": "null_content"}, RESPONSES)["output"] == []


def test_what_is_not_said_is_not_counted() -> None:
    empty: Met = meet({"type": "null_content", "how": "empty"}, Asked(stream=True))
    refused: Met = meet({"type": "null_content", "how": "refusal"}, Asked(stream=True))
    assert empty.answer is not None
    assert refused.answer is not None
    assert (empty.answer.usage, empty.answer.longest) == (Usage(100, 0), 0)
    assert (refused.answer.usage, refused.answer.longest) == (Usage(100, 15), 15)


@pytest.mark.parametrize("route", ROUTES)
def test_another_model_answers(route: str) -> None:
    good = value([], route)  # type: ignore[arg-type]  # no fault
    assert value({"type": "wrong_model", "model": "gpt-2"}, route) == {**good, "model": "gpt-2"}


def test_usage_is_zero() -> None:
    assert value({"type": "usage_missing"})["usage"]["total_tokens"] == 0
    assert value({"type": "usage_missing"}, EMBEDDINGS)["usage"] == {"prompt_tokens": 0, "total_tokens": 0}
    assert meet({"type": "usage_missing", "how": "absent"}, Asked(stream=True)).matched == 0


@pytest.mark.parametrize("order", [1, -1])
def test_fields_are_edited_before_bytes_are_broken_whatever_came_first(order: int) -> None:
    documents = [{"type": "invalid_json"}, {"type": "missing_field"}, {"type": "short_body"}][::order]
    broken = whole(documents)
    assert broken.length is not None
    assert b'"choices"' not in broken.body
    assert meet(documents).applied == (3 if order == 1 else 2), "half a body has no last brace to spoil"


def test_vectors_that_are_no_json_can_lose_a_field_too() -> None:
    documents = [{"type": "embedding_nan"}, {"type": "missing_field", "field": "usage"}]
    body = whole(documents, EMBEDDINGS).body  # type: ignore[arg-type]  # see above
    assert b"NaN" in body
    assert b'"usage"' not in body


def test_the_answer_is_cut_and_says_so() -> None:
    cut = value({"type": "finish_length", "tokens": 3})
    assert (cut["choices"][0]["finish_reason"], cut["choices"][0]["message"]["content"], cut["usage"]["completion_tokens"]) == (
        "length",
        "The café",
        3,
    )
    assert value({"type": "finish_length"}, MESSAGES)["stop_reason"] == "max_tokens"
    filtered = value({"type": "finish_content_filter"})["choices"][0]
    assert (filtered["finish_reason"], filtered["message"]["content"]) == ("content_filter", None)
    assert value({"type": "finish_content_filter"}, MESSAGES)["stop_reason"] == "refusal"
    streamed = meet({"type": "finish_content_filter", "tokens": 3}, Asked(stream=True)).answer
    assert streamed is not None
    assert (streamed.choices[0].text, streamed.choices[0].finish) == ("The café", "content_filter")
    assert TEXT.startswith(streamed.choices[0].text)


def test_an_edit_of_an_answer_that_nobody_gets_is_not_counted() -> None:
    edit, refusal = {"type": "empty_body"}, {"type": "server_error"}
    assert meet([edit, refusal]).faults == ["f1"]
    assert meet([{"type": "verbose"}, {"type": "truncated_json"}]).faults == ["f0", "f1"]
