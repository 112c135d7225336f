"""`POST /v1/chat/completions` in OpenAI's words."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from heapq import merge
from itertools import count, repeat
from typing import Any, Final

from mocks.llm.answer import CHAT, Answer, ChatCall, Choice, ToolCall, Usage
from mocks.llm.dialects.base import Body, DialectName, encode, last_tokens, text_frames
from mocks.llm.dialects.compounds import Either, Fields, Many, NumberMap, TextMap, check_present
from mocks.llm.dialects.kinds import Anything, Flag, Kind, MismatchError, Number, OneOf, Text, Whole
from mocks.llm.dialects.logprobs import scored
from mocks.llm.dialects.openai_messages import MESSAGES, plain_turns, read_messages
from mocks.llm.dialects.openai_tools import CHAT_FORMAT, CHAT_TOOL_CHOICE, CHAT_TOOLS, chat_choice, choose, read_format, read_functions
from mocks.llm.dialects.wording import openai_error, refused
from mocks.llm.plan import Frame
from mocks.llm.words import tokens

FINGERPRINT = "fp_gauntlet"
STOPS = Either({str: Text(1), list: Many(Text(1), 0, 4)}, "one of a string or array of strings")

PARAMETERS: Mapping[str, Kind] = {
    "model": Text(1),
    "messages": MESSAGES,
    "stream": Flag(),
    "stream_options": Fields({"include_usage": Flag(), "include_obfuscation": Flag()}),
    "max_tokens": Whole(1),
    "max_completion_tokens": Whole(1),
    "stop": STOPS,
    "n": Whole(1, 128),
    "tools": CHAT_TOOLS,
    "tool_choice": CHAT_TOOL_CHOICE,
    "parallel_tool_calls": Flag(),
    "response_format": CHAT_FORMAT,
    "temperature": Number(0, 2),
    "top_p": Number(0, 1),
    "frequency_penalty": Number(-2, 2),
    "presence_penalty": Number(-2, 2),
    "logit_bias": NumberMap(-100, 100),
    "logprobs": Flag(),
    "top_logprobs": Whole(0, 20),
    "seed": Whole(),
    "user": Text(),
    "safety_identifier": Text(),
    "prompt_cache_key": Text(),
    "metadata": TextMap(16),
    "store": Flag(),
    "service_tier": OneOf(("auto", "default", "flex", "scale", "priority", "fast")),
    "reasoning_effort": OneOf(("none", "minimal", "low", "medium", "high", "xhigh", "max")),
    "verbosity": OneOf(("low", "medium", "high")),
    "modalities": Many(OneOf(("text",)), 1),
    "prediction": Anything(),
}
"""The parameters that are understood or at least checked; others are accepted and let be, as OpenAI-compatible servers do."""
REQUIRED = ("model", "messages")
_PLAIN = {name: PARAMETERS[name] for name in ("model", "stream", "max_tokens", "temperature", "top_p", "seed", "user")}
"""What most requests are made of, beside their messages: nothing among them is forbidden beside another."""

_LEGACY = {"functions": "tools", "function_call": "tool_choice"}
_NO_DETAILS = encode(
    {
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
)[1:]
_WHOLE = (
    b'{"id":%%b,"object":"chat.completion","created":%%d,"model":%%b,"choices":[%%b],"usage":%%b,'
    b'"service_tier":"default","system_fingerprint":"%b"}' % FINGERPRINT.encode()
)
_CHOICE = b'{"index":%d,"message":{"role":"assistant","content":%b,"refusal":%b,"annotations":[]%b},"logprobs":%b,"finish_reason":"%b"%b}'


class OpenAIChat:
    """Chat completions, whole and streamed."""

    route: Final = CHAT
    id_prefix: Final = "chatcmpl-"

    def __init__(self, name: DialectName = "openai", extras: Callable[[Choice], Mapping[str, Any]] | None = None) -> None:
        """`extras` are the fields that a variant of this dialect adds to a choice."""
        self.name = name
        self._extras = extras

    def parse(self, body: Body) -> ChatCall:
        """Check a request. Raises ProviderError 400 naming the parameter."""
        try:
            turns, model = plain_turns(body.get("messages")), body.get("model")
            if turns is None or model is None or not _is_plain(body):
                return _parse_all(body)
        except MismatchError as wrong:
            raise openai_error(wrong) from None
        return ChatCall(model, turns, body.get("stream") is True, max_tokens=body.get("max_tokens"), tenant=body.get("user") or None)

    def whole(self, answer: Answer, call: ChatCall) -> bytes:
        """The JSON body."""
        choices = b",".join(map(self._choice, count(), answer.choices, repeat(call)))
        return _WHOLE % (encode(answer.id), answer.created, encode(answer.model), choices, usage(answer.usage))

    def frames(self, answer: Answer, call: ChatCall, tokens_per_chunk: int) -> list[Frame]:
        """The events; those of several choices take turns as their tokens come."""
        head = {
            "id": answer.id,
            "object": "chat.completion.chunk",
            "created": answer.created,
            "model": answer.model,
            "service_tier": "default",
            "system_fingerprint": FINGERPRINT,
        }
        start = b"data: " + encode(head)[:-1]
        end = (b',"usage":null' if call.include_usage else b"") + b"}\n\n"
        streams = [self._stream(i, choice, call, start, end, tokens_per_chunk) for i, choice in enumerate(answer.choices)]
        frames = streams[0] if len(streams) == 1 else list(merge(*streams, key=lambda frame: frame.token))
        last = frames[-1].token
        if call.include_usage:
            frames.append(Frame(start + b',"choices":[],"usage":' + usage(answer.usage) + b"}\n\n", last, "usage"))
        frames.append(Frame(b"data: [DONE]\n\n", last, "done"))
        return frames

    def _choice(self, index: int, choice: Choice, call: ChatCall) -> bytes:
        content = refusal = scores = b"null"
        calls = b""
        if choice.tool_calls:
            calls = b',"tool_calls":' + encode([_call(one) for one in choice.tool_calls])
        elif choice.refusal is not None:
            refusal = encode(choice.refusal)
        else:
            content = encode(choice.text)
            if call.logprobs is not None:
                scores = encode({"content": scored(choice.tokens, 0, len(choice.tokens), call.logprobs), "refusal": None})
        extras = b"" if self._extras is None else _members(self._extras(choice))
        return _CHOICE % (index, content, refusal, calls, scores, choice.finish.encode(), extras)

    def _stream(self, index: int, choice: Choice, call: ChatCall, start: bytes, end: bytes, size: int) -> list[Frame]:
        """The events of one choice."""
        open_choice = start + b',"choices":[{"index":%d,"delta":' % index
        extras = b"" if self._extras is None else _members(self._extras(choice))
        close = b',"logprobs":null,"finish_reason":null' + extras + b"}]" + end
        first = b'{"role":"assistant","content":null' if choice.tool_calls else b'{"role":"assistant","content":""'
        frames = [Frame(open_choice + first + b',"refusal":null}' + close, 1, "open")]
        if choice.tool_calls:
            frames += _call_frames(choice.tool_calls, open_choice, close, size)
        elif choice.refusal is not None:
            frames += text_frames(tuple(tokens(choice.refusal)), open_choice + b'{"refusal":', b"}" + close, size)
        elif call.logprobs is not None:
            frames += _scored_frames(choice, call.logprobs, open_choice, close, size)
        else:
            frames += text_frames(choice.tokens, open_choice + b'{"content":', b"}" + close, size)
        finish = b'{},"logprobs":null,"finish_reason":"%b"' % choice.finish.encode()
        frames.append(Frame(open_choice + finish + extras + b"}]" + end, frames[-1].token, "finish"))
        return frames


def _members(extras: Mapping[str, Any]) -> bytes:
    """To stand behind other members of an object."""
    return b"," + encode(extras)[1:-1]


def usage(counted: Usage) -> bytes:
    """As a chat completion reports it, in JSON."""
    read, written = counted.prompt_tokens, counted.completion_tokens
    return b'{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d,%b' % (read, written, read + written, _NO_DETAILS)


def tenant(body: Body) -> str | None:
    """Who the caller says it asks for."""
    return body.get("safety_identifier") or body.get("user") or None


def _is_plain(body: Body) -> bool:
    """Whether there are PLAIN parameters only; they are checked then. Raises MismatchError."""
    for name, value in body.items():
        kind = _PLAIN.get(name)
        if kind is not None:
            if value is not None:
                kind.check(value, (name,))
        elif name != "messages":
            return False
    return True


def _parse_all(body: Body) -> ChatCall:
    for name in REQUIRED:
        if body.get(name) is None:
            raise MismatchError((name,), "missing")
    check_present(body, PARAMETERS)
    _check_combinations(body)
    turns, pictures = read_messages(body["messages"])
    call = ChatCall(
        body["model"],
        turns,
        stream=body.get("stream") is True,
        include_usage=(body.get("stream_options") or {}).get("include_usage") is True,
        max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
        stop=_stops(body.get("stop")),
        n=body.get("n") or 1,
        parallel_tools=body.get("parallel_tool_calls") is not False,
        logprobs=(body.get("top_logprobs") or 0) if body.get("logprobs") else None,
        other_tokens=pictures,
        tenant=tenant(body),
    )
    if body.get("tools") or body.get("tool_choice") or body.get("parallel_tool_calls") is not None:
        call = _with_tools(call, body)
    form = body.get("response_format")
    return replace(call, json_schema=read_format(form, ("response_format",), call.prompt)) if form else call


def _with_tools(call: ChatCall, body: Body) -> ChatCall:
    choice = chat_choice(body.get("tool_choice"))
    tools, count = read_functions([tool["function"] for tool in body.get("tools") or ()], "tools[{}].function")
    return replace(call, tools=choose(tools, choice, body), tool_choice=choice.wanted, other_tokens=call.other_tokens + count)


def _check_combinations(body: Body) -> None:
    """What OpenAI refuses although each parameter is right by itself."""
    for name, successor in _LEGACY.items():
        if body.get(name) is not None:
            raise refused(
                name,
                f"Unsupported parameter: '{name}' is not supported with this model. Use '{successor}' instead.",
                "unsupported_parameter",
            )
    if body.get("max_tokens") is not None and body.get("max_completion_tokens") is not None:
        both = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported."
        raise refused("max_tokens", both, "invalid_parameter_combination")
    if body.get("stream_options") is not None and not body.get("stream"):
        raise refused("stream_options", "The 'stream_options' parameter is only allowed when 'stream' is enabled.")
    if body.get("top_logprobs") is not None and not body.get("logprobs"):
        raise refused("top_logprobs", "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.")


def _stops(value: str | Sequence[str] | None) -> tuple[str, ...]:
    return () if value is None else (value,) if isinstance(value, str) else tuple(value)


def _call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _scored_frames(choice: Choice, alternatives: int, before: bytes, after: bytes, size: int) -> list[Frame]:
    """Text events with log probabilities, which replace the null of the others."""
    frames = []
    ends = last_tokens(len(choice.tokens), size)
    for start, end in zip([0, *ends], ends, strict=False):
        scores = encode({"content": scored(choice.tokens, start, end, alternatives), "refusal": None})
        delta = b'{"content":' + encode("".join(choice.tokens[start:end])) + b"}"
        frames.append(Frame(before + delta + after.replace(b'"logprobs":null', b'"logprobs":' + scores, 1), end, "content"))
    return frames


def _call_frames(calls: Sequence[ToolCall], before: bytes, after: bytes, size: int) -> list[Frame]:
    """Each call's head with its first token, then the rest of its arguments piece by piece."""
    frames: list[Frame] = []
    token = 0
    for i, call in enumerate(calls):
        pieces = tuple(tokens(call.arguments))
        opening = {"tool_calls": [{"index": i, **_call(ToolCall(call.id, call.name, ""))}]}
        frames.append(Frame(before + encode(opening) + after, token + 1, "content"))
        part = before + b'{"tool_calls":[{"index":%d,"function":{"arguments":' % i
        frames += text_frames(pieces, part, b"}}]}" + after, size, token)
        token += len(pieces)
    return frames
