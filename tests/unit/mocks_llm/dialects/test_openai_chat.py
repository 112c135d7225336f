"""Chat completions: what is accepted, what is refused and how, and the answers against the official client's own types."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from mocks.llm.answer import Answer, ChatCall, Choice, Tool, Turn, Usage
from mocks.llm.answers.base import completed
from mocks.llm.dialects.base import parse_json
from mocks.llm.dialects.kinds import MismatchError
from mocks.llm.dialects.openai_chat import OpenAIChat
from mocks.llm.dialects.openai_messages import MESSAGES, plain_turns, read_messages
from mocks.llm.errors import ProviderError
from tests.unit.mocks_llm.dialects.answering import answered, choices, events

CHAT = OpenAIChat()
ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi there"}]}
FUNCTION = {"name": "look_up", "parameters": {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]}}
TOOLS = [{"type": "function", "function": FUNCTION}]
CALLS = [{"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": '{"word":"x"}'}}]


def ask(**change: Any) -> dict[str, Any]:
    return {**ASK, **change}


def test_every_parameter_of_a_request() -> None:
    body = ask(
        messages=[
            {"role": "developer", "content": "Be brief.", "name": "d"},
            {"role": "system", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {
                "role": "user",
                "content": [{"type": "text", "text": "Hi"}, {"type": "image_url", "image_url": {"url": "data:,", "detail": "low"}}],
            },
            {"role": "assistant", "content": None, "tool_calls": CALLS},
            {"role": "tool", "tool_call_id": "call_1", "content": "found"},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
            {"role": "user", "content": "And?"},
        ],
        stream=True,
        stream_options={"include_usage": True, "include_obfuscation": False},
        max_completion_tokens=7,
        stop=["x", "y"],
        n=2,
        tools=[{"type": "function", "function": {**FUNCTION, "description": "Looks up words."}}],
        tool_choice={"type": "function", "function": {"name": "look_up"}},
        parallel_tool_calls=False,
        response_format={"type": "text"},
        temperature=0,
        top_p=1.0,
        frequency_penalty=-2,
        presence_penalty=2,
        logit_bias={"50256": -100},
        logprobs=True,
        top_logprobs=2,
        seed=-5,
        user="u",
        safety_identifier="tenant-1",
        metadata={"a": "b"},
        store=False,
        service_tier="auto",
        top_k=5,
        min_p="unknown parameters are let be",
    )
    assert CHAT.parse(body) == ChatCall(
        "m",
        (
            Turn("system", "Be brief."),
            Turn("system", "a\nb"),
            Turn("user", "Hi"),
            Turn("assistant", 'look_up({"word":"x"})'),
            Turn("tool", "found"),
            Turn("assistant", "No."),
            Turn("user", "And?"),
        ),
        stream=True,
        include_usage=True,
        max_tokens=7,
        stop=("x", "y"),
        n=2,
        tools=(Tool("look_up", FUNCTION["parameters"]),),  # type: ignore[arg-type]  # the schema is a mapping
        tool_choice="look_up",
        parallel_tools=False,
        logprobs=2,
        other_tokens=85 + 3 + 4,
        tenant="tenant-1",
    )


def test_null_is_as_good_as_none() -> None:
    nulls = dict.fromkeys(
        ["stream", "stream_options", "max_tokens", "stop", "n", "tools", "tool_choice", "response_format", "temperature", "user"]
    )
    assert CHAT.parse(ask(**nulls)) == CHAT.parse(ASK) == ChatCall("m", (Turn("user", "Hi there"),))


@pytest.mark.parametrize(
    ("change", "param", "code", "message"),
    [
        ({"model": None}, "model", "missing_required_parameter", "Missing required parameter: 'model'."),
        ({"model": 3}, "model", "invalid_type", "Invalid type for 'model': expected a string, but got an integer instead."),
        ({"messages": "hi"}, "messages", "invalid_type", "Invalid type for 'messages': expected an array, but got a string instead."),
        (
            {"messages": []},
            "messages",
            "empty_array",
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
        ),
        (
            {"messages": [{"content": "x"}]},
            "messages[0].role",
            "missing_required_parameter",
            "Missing required parameter: 'messages[0].role'.",
        ),
        (
            {"messages": [{"role": "king", "content": "x"}]},
            "messages[0].role",
            "invalid_value",
            "Invalid value: 'king'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'.",
        ),
        (
            {"messages": [{"role": "user"}]},
            "messages[0].content",
            "missing_required_parameter",
            "Missing required parameter: 'messages[0].content'.",
        ),
        (
            {"messages": [{"role": "user", "content": None}]},
            "messages[0].content",
            "invalid_type",
            "Invalid type for 'messages[0].content': expected one of a string or array of objects, but got null instead.",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "audio"}]}]},
            "messages[0].content[0].type",
            "invalid_value",
            "Invalid value: 'audio'. Supported values are: 'text' and 'image_url'.",
        ),
        (
            {"messages": [{"role": "assistant", "content": None}]},
            "messages[0].content",
            "invalid_type",
            "Invalid type for 'messages[0].content': expected one of a string or array of objects, but got null instead.",
        ),
        (
            {"messages": [{"role": "tool", "tool_call_id": "a", "content": "x"}]},
            "messages.[0].role",
            None,
            "Invalid parameter: messages with role 'tool' must be a response to a preceding message with 'tool_calls'.",
        ),
        (
            {"messages": [{"role": "assistant", "content": None, "tool_calls": CALLS}, {"role": "user", "content": "x"}]},
            "messages",
            None,
            (
                "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
                "The following tool_call_ids did not have response messages: call_1"
            ),
        ),
        ({"n": 0}, "n", "integer_below_min_value", "Invalid 'n': integer below minimum value. Expected a value >= 1, but got 0 instead."),
        (
            {"n": 129},
            "n",
            "integer_above_max_value",
            "Invalid 'n': integer above maximum value. Expected a value <= 128, but got 129 instead.",
        ),
        (
            {"temperature": 2.5},
            "temperature",
            "decimal_above_max_value",
            "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 2.5 instead.",
        ),
        ({"stream": "yes"}, "stream", "invalid_type", "Invalid type for 'stream': expected a boolean, but got a string instead."),
        (
            {"stream_options": {"include_usage": True}},
            "stream_options",
            None,
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
        ),
        (
            {"max_tokens": 1.5},
            "max_tokens",
            "invalid_type",
            "Invalid type for 'max_tokens': expected an integer, but got a decimal instead.",
        ),
        (
            {"max_tokens": True},
            "max_tokens",
            "invalid_type",
            "Invalid type for 'max_tokens': expected an integer, but got a boolean instead.",
        ),
        (
            {"max_tokens": 5, "max_completion_tokens": 6},
            "max_tokens",
            "invalid_parameter_combination",
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
        ),
        (
            {"stop": ["a"] * 5},
            "stop",
            "array_above_max_length",
            "Invalid 'stop': array too long. Expected an array with maximum length 4, but got an array with length 5 instead.",
        ),
        (
            {"stop": ""},
            "stop",
            "empty_string",
            "Invalid 'stop': empty string. Expected a string with minimum length 1, but got an empty string instead.",
        ),
        (
            {"metadata": {str(i): "" for i in range(17)}},
            "metadata",
            "object_above_max_properties",
            "Invalid 'metadata': too many properties. Expected at most 16 properties, but got an object with length 17 instead.",
        ),
        (
            {"functions": [FUNCTION]},
            "functions",
            "unsupported_parameter",
            "Unsupported parameter: 'functions' is not supported with this model. Use 'tools' instead.",
        ),
        ({"top_logprobs": 2}, "top_logprobs", None, "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled."),
        (
            {"tool_choice": "auto"},
            "tool_choice",
            None,
            "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.",
        ),
        (
            {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "x"}}},
            "tool_choice",
            None,
            "Tool choice 'x' not found in 'tools' parameter.",
        ),
        (
            {"tools": [{"type": "function"}]},
            "tools[0].function",
            "missing_required_parameter",
            "Missing required parameter: 'tools[0].function'.",
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "a b"}}]},
            "tools[0].function.name",
            "invalid_value",
            (
                "Invalid 'tools[0].function.name': string does not match pattern. Expected a string of at most 64 characters "
                "that matches the pattern '^[a-zA-Z0-9_-]+$', but got 'a b' instead."
            ),
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "array"}}}]},
            "tools[0].function.parameters",
            "invalid_function_parameters",
            "Invalid schema for function 'f': schema must be a JSON Schema of 'type: \"object\"', got 'type: \"array\"'.",
        ),
        (
            {"tools": [{"type": "function", "function": {**FUNCTION, "strict": True}}]},
            "tools[0].function.parameters",
            "invalid_function_parameters",
            "Invalid schema for function 'look_up': In context=(), 'additionalProperties' is required to be supplied and to be false.",
        ),
        (
            {"response_format": {"type": "json_object"}},
            "messages",
            None,
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": {}}}},
            "response_format.json_schema.name",
            "missing_required_parameter",
            "Missing required parameter: 'response_format.json_schema.name'.",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "f", "schema": {"type": "string"}}}},
            "response_format",
            None,
            "Invalid schema for response_format 'f': schema must be a JSON Schema of 'type: \"object\"', got 'type: \"string\"'.",
        ),
    ],
)
def test_what_is_refused_and_how(change: dict[str, Any], param: str, code: str | None, message: str) -> None:
    with pytest.raises(ProviderError) as caught:
        CHAT.parse(ask(**change))
    error = caught.value
    assert (error.status, error.type, error.param, error.code, error.message) == (400, "invalid_request_error", param, code, message)


@pytest.mark.parametrize("raw", [b"", b"[1]", b"{", b'"x"', b'{"a": NaN}', b'{"a": "\\ud800"}', b"\xff", b"[" * 100_000])
def test_bodies_that_are_no_json_object_are_refused(raw: bytes) -> None:
    with pytest.raises(ProviderError) as caught:
        parse_json(raw)
    assert (caught.value.status, caught.value.type, caught.value.param) == (400, "invalid_request_error", None)


def test_allowed_tools_narrow_the_tools() -> None:
    other = {"type": "function", "function": {"name": "other"}}
    allowed = {
        "type": "allowed_tools",
        "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "other"}}]},
    }
    call = CHAT.parse(ask(tools=[*TOOLS, other], tool_choice=allowed))
    assert ([tool.name for tool in call.tools], call.tool_choice) == (["other"], "required")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "role", "content", "text", "name", "function", "id", "tools", "mode"]), inner, max_size=3
        )
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(
        st.sampled_from(
            ["messages", "stop", "n", "tools", "tool_choice", "response_format", "logit_bias", "metadata", "stream_options", "max_tokens"]
        ),
        json_values,
    )
)
def test_whatever_is_sent_is_parsed_or_refused_by_name(change: dict[str, Any]) -> None:
    try:
        CHAT.parse(ask(**change))
    except ProviderError as error:
        assert (error.status, error.type) == (400, "invalid_request_error")
        assert error.param
        assert error.param.partition("[")[0].partition(".")[0] in {*change, "messages"}


def test_a_whole_answer() -> None:
    call = CHAT.parse(ASK)
    body = CHAT.whole(answered(CHAT, call), call)
    ChatCompletion.model_validate_json(body, strict=True)
    assert json.loads(body) == {
        "id": "chatcmpl-0123",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "m-2026-01-01",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hi there", "refusal": None, "annotations": []},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 2,
            "completion_tokens": 2,
            "total_tokens": 4,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
        "service_tier": "default",
        "system_fingerprint": "fp_gauntlet",
    }


def joined(chunks: list[ChatCompletionChunk], count: int) -> list[tuple[Any, ...]]:
    """Content, refusal, calls and finish reason of each choice, put together as a client does."""
    found: list[tuple[Any, ...]] = []
    for index in range(count):
        deltas = [choice for chunk in chunks for choice in chunk.choices if choice.index == index]
        calls: dict[int, list[str]] = {}
        for delta in (part for choice in deltas for part in choice.delta.tool_calls or []):
            assert delta.function is not None
            call = calls.setdefault(delta.index, [delta.id or "", delta.function.name or "", ""])
            call[2] += delta.function.arguments or ""
        content = [choice.delta.content for choice in deltas if choice.delta.content is not None]
        refusal = [choice.delta.refusal for choice in deltas if choice.delta.refusal is not None]
        assert [choice.finish_reason for choice in deltas[:-1]] == [None] * (len(deltas) - 1)
        assert deltas[0].delta.role == "assistant"
        found.append(
            (
                "".join(content) if content and not refusal else None,
                "".join(refusal) if refusal else None,
                [(call[0], call[1], call[2]) for call in calls.values()],
                deltas[-1].finish_reason,
            )
        )
    return found


@given(choices(), st.integers(1, 5), st.booleans(), st.none() | st.integers(0, 2))
def test_a_stream_says_what_the_whole_answer_says(some: tuple[Choice, ...], size: int, include_usage: bool, logprobs: int | None) -> None:
    call = ChatCall("m", (Turn("user", "x"),), include_usage=include_usage, n=len(some), logprobs=logprobs)
    answer = completed("chatcmpl-1", "m", 1, some, 7)
    whole = ChatCompletion.model_validate_json(CHAT.whole(answer, call), strict=True)
    frames = CHAT.frames(answer, call, size)
    assert [frame.kind for frame in frames if frame.kind in ("open", "finish")].count("open") == len(some)
    assert [frame.token for frame in frames] == sorted(frame.token for frame in frames)
    assert frames[0].token == 1
    assert frames[-1].token == max(1, answer.longest)
    assert frames[-1].data == b"data: [DONE]\n\n"
    chunks = [ChatCompletionChunk.model_validate(event.data, strict=True) for event in events(frames[:-1])]
    if include_usage:
        last = chunks.pop()
        assert (last.choices, last.usage) == ([], whole.usage)
        assert all("usage" in chunk.model_fields_set for chunk in chunks)
    assert all(chunk.usage is None for chunk in chunks)
    assert joined(chunks, len(some)) == [
        (
            choice.message.content,
            choice.message.refusal or None,
            [(one.id, one.function.name, one.function.arguments) for one in choice.message.tool_calls or [] if one.type == "function"],
            choice.finish_reason,
        )
        for choice in whole.choices
    ]
    for choice in whole.choices:
        scored = [
            entry
            for chunk in chunks
            for part in chunk.choices
            if part.index == choice.index and part.logprobs
            for entry in part.logprobs.content or []
        ]
        assert scored == (choice.logprobs.content if choice.logprobs else [])


def test_the_choices_of_a_stream_take_turns() -> None:
    answer = Answer("chatcmpl-1", "m", 1, (Choice(("a", "b", "c", "d")), Choice(("x",))), Usage(1, 5), 4)
    frames = CHAT.frames(answer, ChatCall("m", (Turn("user", "x"),), n=2), 2)
    told = [
        (frame.token, frame.kind, [(choice["index"], choice["delta"].get("content")) for choice in event.data["choices"]])
        for frame, event in zip(frames[:-1], events(frames[:-1]), strict=True)
    ]
    assert told == [
        (1, "open", [(0, "")]),
        (1, "content", [(0, "a")]),
        (1, "open", [(1, "")]),
        (1, "content", [(1, "x")]),
        (1, "finish", [(1, None)]),
        (3, "content", [(0, "bc")]),
        (4, "content", [(0, "d")]),
        (4, "finish", [(0, None)]),
    ]


def test_log_probabilities_are_those_of_the_tokens() -> None:
    call = CHAT.parse(ask(logprobs=True, top_logprobs=2))
    completion = ChatCompletion.model_validate_json(CHAT.whole(answered(CHAT, call), call), strict=True)
    assert completion.choices[0].logprobs is not None
    content = completion.choices[0].logprobs.content
    assert content is not None
    assert [entry.token for entry in content] == ["Hi", " there"]
    for entry in content:
        assert bytes(entry.bytes or []).decode() == entry.token
        assert entry.logprob <= 0
        assert next(one.token for one in entry.top_logprobs) == entry.token
        assert [one.logprob for one in entry.top_logprobs] == sorted((one.logprob for one in entry.top_logprobs), reverse=True)
        assert len(entry.top_logprobs) == 2


_ANY = st.none() | st.booleans() | st.integers(0, 2) | st.text(max_size=3) | st.lists(st.none(), max_size=1)
_ROLES = st.sampled_from(["system", "developer", "user", "assistant", "tool", "function", "other"]) | _ANY
_TEXTS = st.text(max_size=5)
_MESSAGES = st.lists(
    st.fixed_dictionaries({"role": _ROLES}, optional={"content": _TEXTS | _ANY, "name": _ANY, "tool_call_id": _TEXTS})
    | st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "assistant"]), "content": _TEXTS})
    | _ANY,
    max_size=3,
)


@given(messages=_MESSAGES | _ANY)
def test_plain_messages_are_read_as_all_others_are(messages: Any) -> None:
    turns = plain_turns(messages)
    try:
        MESSAGES.check(messages, ("messages",))
        read = read_messages(messages)
    except (MismatchError, ProviderError):
        assert turns is None
    else:
        simple = all(set(message) == {"role", "content"} and isinstance(message["content"], str) for message in messages)
        assert turns == (read[0] if simple else None)


@given(
    messages=_MESSAGES,
    rest=st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(("stream", "max_tokens", "temperature", "top_p", "seed", "user", "n"), _ANY),
            "model": st.just("m") | _ANY,
        },
    ),
)
def test_plain_requests_are_parsed_as_all_others_are(messages: Any, rest: dict[str, Any]) -> None:
    body = ASK | {"messages": messages or ASK["messages"]} | rest
    plain, all_of_it = (parsed_or_refused(one) for one in (body, body | {"prediction": {}}))  # which is accepted, and let be
    assert plain == all_of_it


def parsed_or_refused(body: dict[str, Any]) -> object:
    try:
        return CHAT.parse(body)
    except ProviderError as error:
        return str(error), error.param, error.code
