"""The Responses API: what is accepted, what is refused and how, and the answers against the official client's own types."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from mocks.llm.answer import ChatCall, Choice, Tool, Turn
from mocks.llm.answers.base import completed
from mocks.llm.dialects.openai_responses import OpenAIResponses
from mocks.llm.errors import ProviderError
from mocks.llm.plan import Frame
from tests.unit.mocks_llm.dialects.answering import answered, choices, events

RESPONSES = OpenAIResponses()
EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
ASK: dict[str, Any] = {"model": "m", "input": "Hi there"}
SCHEMA = {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]}
TOOL = {"type": "function", "name": "look_up", "parameters": SCHEMA}
CALLED = {"type": "function_call", "call_id": "call_1", "name": "look_up", "arguments": '{"word":"x"}'}


def ask(**change: Any) -> dict[str, Any]:
    return {**ASK, **change}


def call_of(some: tuple[Choice, ...], **change: Any) -> ChatCall:
    repeated = RESPONSES.parse(ASK).repeated
    return ChatCall("m", (Turn("user", "x"),), n=len(some), repeated=repeated, **change)


def test_every_parameter_of_a_request() -> None:
    picture = {"type": "input_image", "detail": "low", "image_url": "data:,"}
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "Hi"}, picture]},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        CALLED,
        {"type": "function_call_output", "call_id": "call_1", "output": "found"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Well.", "annotations": []}]},
        {"role": "developer", "content": "Go on."},
    ]
    given = {
        "instructions": "Be brief.",
        "max_output_tokens": 16,
        "tools": [{**TOOL, "description": "Looks up words."}],
        "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "look_up"}]},
        "parallel_tool_calls": False,
        "temperature": 0.5,
        "metadata": {"a": "b"},
        "user": "u",
    }
    call = RESPONSES.parse(ask(input=items, stream=True, include=["message.output_text.logprobs"], top_logprobs=2, unknown=1, **given))
    assert call == ChatCall(
        "m",
        (
            Turn("system", "Be brief."),
            Turn("user", "Hi"),
            Turn("assistant", 'look_up({"word":"x"})'),
            Turn("tool", "found"),
            Turn("assistant", "Well."),
            Turn("system", "Go on."),
        ),
        stream=True,
        include_usage=True,
        max_tokens=16,
        tools=(Tool("look_up", SCHEMA),),
        tool_choice="required",
        parallel_tools=False,
        logprobs=2,
        other_tokens=85 + 3 + 4,
        repeated=call.repeated,
        tenant="u",
    )
    response = json.loads(RESPONSES.whole(answered(RESPONSES, call), call))
    tool = {"description": "Looks up words.", "parameters": SCHEMA, "strict": None, "type": "function", "name": "look_up"}
    assert {name: response[name] for name in given} == {**given, "tools": [tool]}


@pytest.mark.parametrize(
    ("change", "status", "param", "code", "message"),
    [
        ({"input": None}, 400, "input", "missing_required_parameter", "Missing required parameter: 'input'."),
        ({"input": []}, 400, "input", "empty_array", None),
        ({"input": 3}, 400, "input", "invalid_type", None),
        ({"input": [{"role": "king", "content": "x"}]}, 400, "input[0].role", "invalid_value", None),
        ({"input": [{"type": "web_search_call"}]}, 400, "input[0].type", "invalid_value", None),
        ({"input": [CALLED]}, 400, "input", None, "No tool output found for function call call_1."),
        (
            {"input": [{"type": "function_call_output", "call_id": "call_1", "output": "x"}]},
            400,
            "input",
            None,
            "No tool call found for function call output with call_id call_1.",
        ),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, 404, "input", None, "Item with id 'msg_1' not found."),
        ({"max_output_tokens": 15}, 400, "max_output_tokens", "integer_below_min_value", None),
        (
            {"previous_response_id": "resp_1"},
            400,
            "previous_response_id",
            "previous_response_not_found",
            "Previous response with id 'resp_1' not found.",
        ),
        ({"conversation": {"id": "conv_1"}}, 404, "conversation", None, "Conversation with id 'conv_1' not found."),
        ({"background": True}, 400, "background", "unsupported_parameter", None),
        ({"tools": [{"type": "web_search"}]}, 400, "tools[0].type", "invalid_value", None),
        ({"tools": [{"type": "function"}]}, 400, "tools[0].name", "missing_required_parameter", None),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "name": "x"}}, 400, "tool_choice", None, None),
        ({"text": {"format": {"type": "json_object"}}}, 400, "input", None, None),
        ({"text": {"format": {"type": "json_schema", "name": "f"}}}, 400, "text.format.schema", "missing_required_parameter", None),
    ],
)
def test_what_is_refused_and_how(change: dict[str, Any], status: int, param: str, code: str | None, message: str | None) -> None:
    with pytest.raises(ProviderError) as caught:
        RESPONSES.parse(ask(**change))
    error = caught.value
    assert (error.status, error.type, error.param, error.code) == (status, "invalid_request_error", param, code)
    assert message is None or error.message == message


names = st.sampled_from(["type", "role", "content", "text", "id", "format"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["input", "tools", "tool_choice", "text", "include", "conversation", "metadata"]), json_values))
def test_whatever_is_sent_is_parsed_or_refused_by_name(change: dict[str, Any]) -> None:
    try:
        RESPONSES.parse(ask(**change))
    except ProviderError as error:
        assert error.param
        assert error.param.partition("[")[0].partition(".")[0] in {*change, "input"}


def test_a_whole_answer() -> None:
    call = RESPONSES.parse(ASK)
    body = RESPONSES.whole(answered(RESPONSES, call), call)
    response = Response.model_validate_json(body, strict=True)
    assert (response.id, response.status, response.output_text, response.model) == ("resp_0123", "completed", "Hi there", "m-2026-01-01")
    assert json.loads(body)["output"] == [
        {
            "id": "msg_0123",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "annotations": [], "logprobs": [], "text": "Hi there"}],
        }
    ]
    assert json.loads(body)["usage"] == {
        "input_tokens": 2,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 4,
    }


@pytest.mark.parametrize(("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_an_answer_that_was_cut_is_incomplete(finish: Any, reason: str) -> None:
    some = (Choice(("a",), finish),)
    answer = completed("resp_1", "m", 1, some, 7)
    response = json.loads(RESPONSES.whole(answer, call_of(some)))
    assert (response["status"], response["incomplete_details"], response["output"][0]["status"]) == (
        "incomplete",
        {"reason": reason},
        "incomplete",
    )
    assert events(RESPONSES.frames(answer, call_of(some), 1))[-1].name == "response.incomplete"


def test_the_events_of_a_stream() -> None:
    call = RESPONSES.parse(ask(stream=True))
    frames = RESPONSES.frames(answered(RESPONSES, call), call, 1)
    told = events(frames)
    assert [event.name for event in told] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [frame.token for frame in frames] == [1] * 5 + [2] * 5
    assert told[4].data == {
        "type": "response.output_text.delta",
        "sequence_number": 4,
        "item_id": "msg_0123",
        "output_index": 0,
        "content_index": 0,
        "delta": "Hi",
        "logprobs": [],
    }


def check_deltas(told: list[Any], whole: dict[str, Any]) -> None:
    """What a client collects from the deltas, and what each `done` event says, is what the whole answer says."""
    for index, item in enumerate(whole["output"]):
        of_item = [data for data in told if data.get("output_index") == index]
        assert of_item[-1] == {**of_item[-1], "type": "response.output_item.done", "item": item}
        deltas = "".join(data["delta"] for data in of_item if data["type"].endswith(".delta"))
        (done,) = [data for data in of_item if data["type"].rpartition(".")[0].endswith(("output_text", "refusal", "arguments"))][-1:]
        said = item["arguments"] if item["type"] == "function_call" else item["content"][0].get("text", item["content"][0].get("refusal"))
        assert deltas == said == done.get("text", done.get("refusal", done.get("arguments")))


@given(choices(most=1), st.integers(1, 5), st.none() | st.integers(0, 2))
def test_a_stream_says_what_the_whole_answer_says(some: tuple[Choice, ...], size: int, logprobs: int | None) -> None:
    call = call_of(some, logprobs=logprobs)
    answer = completed("resp_1", "m", 1, some, 7)
    body = RESPONSES.whole(answer, call)
    Response.model_validate_json(body, strict=True)
    frames: list[Frame] = RESPONSES.frames(answer, call, size)
    told = [event.data for event in events(frames)]
    for event in events(frames):
        assert event.name == event.data["type"]
        EVENT.validate_json(json.dumps(event.data), strict=True)
    assert [data["sequence_number"] for data in told] == list(range(len(told)))
    assert [frame.token for frame in frames] == sorted(frame.token for frame in frames)
    assert (frames[0].token, frames[-1].token) == (1, max(1, answer.longest))
    assert told[-1]["response"] == json.loads(body)
    check_deltas(told, json.loads(body))
