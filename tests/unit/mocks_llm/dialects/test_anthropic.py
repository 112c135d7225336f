"""Anthropic's messages: what is accepted, what is refused and how, and the answers whole and streamed."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mocks.llm.answer import ChatCall, Choice, Tool, ToolCall, Turn
from mocks.llm.answers.base import completed, prompt_tokens
from mocks.llm.dialects.anthropic import AnthropicMessages, check_version, parse_count, token_count
from mocks.llm.dialects.models import model_card, model_list
from mocks.llm.errors import ProviderError
from mocks.llm.plan import Frame
from tests.unit.mocks_llm.dialects.answering import answered, choices, events

CLAUDE = AnthropicMessages()
ASK: dict[str, Any] = {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "Hi there"}]}
SCHEMA = {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]}
TOOLS = [{"name": "look_up", "input_schema": SCHEMA}]
USE = {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "look_up", "input": {"word": "x"}}]}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "found"}]}


def ask(**change: Any) -> dict[str, Any]:
    return {**ASK, **change}


def test_every_parameter_of_a_request() -> None:
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
    document = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "A text."}}
    body = ask(
        system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        messages=[
            {"role": "user", "content": [{"type": "text", "text": "Hi"}, picture, document]},
            USE,
            {"role": "user", "content": [RESULT, {"type": "text", "text": "And?"}]},
            {"role": "assistant", "content": "Well,"},
        ],
        stream=True,
        stop_sequences=["x"],
        tools=[{**TOOLS[0], "description": "Looks up words.", "type": "custom"}],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
        temperature=1,
        top_p=0.5,
        top_k=3,
        metadata={"user_id": "tenant-1"},
        thinking={"type": "disabled"},
        service_tier="auto",
        unknown=1,
    )
    assert CLAUDE.parse(body) == ChatCall(
        "m",
        (
            Turn("system", "Be brief."),
            Turn("user", "Hi\nA text."),
            Turn("assistant", 'look_up({"word":"x"})'),
            Turn("tool", "found"),
            Turn("user", "And?"),
            Turn("assistant", "Well,"),
        ),
        stream=True,
        include_usage=True,
        max_tokens=50,
        stop=("x",),
        tools=(Tool("look_up", SCHEMA),),
        tool_choice="required",
        parallel_tools=False,
        other_tokens=1_568 + 3 + 4,
        tenant="tenant-1",
    )


def test_formats_and_named_tools() -> None:
    form = {"format": {"type": "json_schema", "schema": SCHEMA}}
    assert CLAUDE.parse(ask(output_config=form)).json_schema == SCHEMA
    assert CLAUDE.parse(ask(tools=TOOLS, tool_choice={"type": "tool", "name": "look_up"})).tool_choice == "look_up"
    assert CLAUDE.parse(ask(tools=TOOLS, tool_choice={"type": "none"})).tool_choice == "none"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_tokens": None}, "max_tokens: Field required"),
        ({"max_tokens": "5"}, "max_tokens: Input should be a valid integer"),
        ({"max_tokens": 0}, "max_tokens: Input should be greater than or equal to 1"),
        ({"model": None}, "model: Field required"),
        ({"messages": []}, "messages: List should have at least 1 item"),
        ({"messages": {}}, "messages: Input should be a valid list"),
        ({"messages": [{"role": "king", "content": "x"}]}, "messages.0.role: Input should be 'user', 'assistant', or 'system'"),
        ({"messages": [{"role": "user"}]}, "messages.0.content: Field required"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages.0.content.0.text: Field required"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, 'messages: first message must use the "user" role'),
        (
            {"messages": [{"role": "user", "content": ""}]},
            "messages.0: all messages must have non-empty content except for the optional final assistant message",
        ),
        (
            {"messages": [ASK["messages"][0], USE]},
            (
                "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_1. "
                "Each `tool_use` block must have a corresponding `tool_result` block in the next message."
            ),
        ),
        (
            {"messages": [{"role": "user", "content": [RESULT]}]},
            (
                "messages.0: unexpected `tool_use_id` found in `tool_result` blocks: toolu_1. "
                "Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
            ),
        ),
        ({"temperature": 1.5}, "temperature: Input should be less than or equal to 1"),
        ({"stop_sequences": [" "]}, "stop_sequences: each stop sequence must contain non-whitespace"),
        ({"stop_sequences": "x"}, "stop_sequences: Input should be a valid list"),
        ({"tool_choice": {"type": "auto"}}, "tool_choice: may only be specified while providing `tools`."),
        ({"tools": TOOLS, "tool_choice": {"type": "tool", "name": "x"}}, "Tool 'x' not found in provided tools"),
        ({"tools": [{"name": "f", "input_schema": {}}]}, "tools.0.custom.input_schema.type: Field required"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools.0.type: Input should be 'custom'"),
        ({"thinking": {"type": "enabled", "budget_tokens": 2_000}}, "`max_tokens` must be greater than `thinking.budget_tokens`."),
    ],
)
def test_what_is_refused_and_how(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ProviderError) as caught:
        CLAUDE.parse(ask(**change))
    assert (caught.value.status, caught.value.message) == (400, message)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "role", "content", "text", "name", "id"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(
        st.sampled_from(["messages", "system", "tools", "tool_choice", "stop_sequences", "thinking", "output_config"]), json_values
    )
)
def test_whatever_is_sent_is_parsed_or_refused(change: dict[str, Any]) -> None:
    try:
        CLAUDE.parse(ask(**change))
    except ProviderError as error:
        assert (error.status, error.type) == (400, "invalid_request_error")


def test_versions() -> None:
    check_version("2023-06-01")
    for header, message in ((None, "anthropic-version: header is required"), ("1", 'anthropic-version: "1" is not a valid version')):
        with pytest.raises(ProviderError, match=message):
            check_version(header)


def test_tokens_are_counted_as_the_answer_counts_them() -> None:
    body = {name: value for name, value in ask(tools=TOOLS, system="Be brief.").items() if name != "max_tokens"}
    count = prompt_tokens(parse_count(body))
    assert json.loads(token_count(count)) == {"input_tokens": count}
    call = CLAUDE.parse({**body, "max_tokens": 9})
    assert json.loads(CLAUDE.whole(answered(CLAUDE, call), call))["usage"]["input_tokens"] == count == 5 + 3


def test_a_whole_answer() -> None:
    call = CLAUDE.parse(ask(stop_sequences=["there"]))
    assert json.loads(CLAUDE.whole(answered(CLAUDE, call), call)) == {
        "id": "msg_0123",
        "type": "message",
        "role": "assistant",
        "model": "m-2026-01-01",
        "content": [{"type": "text", "text": "Hi "}],
        "stop_reason": "stop_sequence",
        "stop_sequence": "there",
        "usage": {
            "input_tokens": 2,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": 2,
            "service_tier": "standard",
        },
    }


def test_the_events_of_a_stream() -> None:
    call = CLAUDE.parse(ask(stream=True))
    told = [(event.name, event.data) for event in events(CLAUDE.frames(answered(CLAUDE, call), call, 1))]
    assert all(name == data["type"] for name, data in told)
    started = told[0][1]["message"]
    assert (started["content"], started["stop_reason"], started["usage"]["input_tokens"]) == ([], None, 2)
    assert [data for _, data in told[1:]] == [
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": " there"}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"input_tokens": 2, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 2},
        },
        {"type": "message_stop"},
    ]


def joined(frames: list[Frame]) -> dict[str, Any]:
    """The message that a client puts together from a stream."""
    message: dict[str, Any] = {}
    written: dict[int, str] = {}
    for event in events(frames):
        match event.data["type"]:
            case "message_start":
                message = event.data["message"]
            case "content_block_start":
                message["content"].append(event.data["content_block"])
                written[event.data["index"]] = ""
            case "content_block_delta":
                delta = event.data["delta"]
                written[event.data["index"]] += delta["text"] if delta["type"] == "text_delta" else delta["partial_json"]
            case "content_block_stop":
                block = message["content"][event.data["index"]]
                text = written[event.data["index"]]
                block |= {"text": text} if block["type"] == "text" else {"input": json.loads(text)}
            case "message_delta":
                message |= event.data["delta"]
                message["usage"] |= event.data["usage"]
    return message


@given(choices(most=1), st.integers(1, 5))
def test_a_stream_says_what_the_whole_answer_says(some: tuple[Choice, ...], size: int) -> None:
    call = ChatCall("m", (Turn("user", "x"),))
    answer = completed("msg_1", "m", 1, some, 7)
    frames = CLAUDE.frames(answer, call, size)
    assert joined(frames) == json.loads(CLAUDE.whole(answer, call))
    assert [frame.token for frame in frames] == sorted(frame.token for frame in frames)
    assert (frames[0].token, frames[-1].token) == (1, max(1, answer.longest))
    assert [frame.kind for frame in frames][-2:] == ["finish", "done"]


def test_calls_that_a_limit_cut_short_have_no_input() -> None:
    choice = Choice((), "length", (ToolCall("call_1", "f", '{"a": '),))
    (block,) = json.loads(CLAUDE.whole(completed("msg_1", "m", 1, (choice,), 7), ChatCall("m", ())))["content"]
    assert block == {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}


def test_models() -> None:
    card = {"type": "model", "id": "a", "display_name": "a", "created_at": "2023-11-14T22:13:20Z", "lifecycle": "active"}
    assert json.loads(model_card("anthropic", "a", 1_700_000_000)) == card
    listed = json.loads(model_list("anthropic", ["a", "b"], 1_700_000_000))
    assert listed == {"data": [card, {**card, "id": "b", "display_name": "b"}], "has_more": False, "first_id": "a", "last_id": "b"}
    assert json.loads(model_list("openai", ["a"], 7)) == {
        "object": "list",
        "data": [{"id": "a", "object": "model", "created": 7, "owned_by": "gauntlet"}],
    }
