"""`POST /v1/responses` in OpenAI's words. Nothing is remembered: what refers to an earlier response is refused as unknown."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from mocks.llm.answer import RESPONSES, Answer, ChatCall, Turn
from mocks.llm.dialects.base import Body, DialectName, encode
from mocks.llm.dialects.compounds import Either, Fields, Many, Tagged, TextMap, check_present
from mocks.llm.dialects.kinds import Anything, Flag, Kind, MismatchError, Number, OneOf, Text, Whole
from mocks.llm.dialects.openai_chat import tenant
from mocks.llm.dialects.openai_items import ITEMS, read_items
from mocks.llm.dialects.openai_response_events import frames
from mocks.llm.dialects.openai_response_object import finished
from mocks.llm.dialects.openai_tools import FORMAT, FUNCTION, MODES, Choice, choose, read_format, read_functions
from mocks.llm.dialects.wording import openai_error, refused
from mocks.llm.errors import ProviderError
from mocks.llm.plan import Frame

LOGPROBS = "message.output_text.logprobs"

_NAMED = Fields({"name": Text(1)}, ("name",))
_TOOL_CHOICE = Either(
    {
        str: OneOf(MODES),
        dict: Tagged(
            {
                "function": _NAMED,
                "allowed_tools": Fields(
                    {"mode": OneOf(("auto", "required")), "tools": Many(Tagged({"function": _NAMED}), 1)}, ("mode", "tools")
                ),
            }
        ),
    },
    "one of a string or object",
)
_FORMAT = Tagged({"text": Fields(), "json_object": Fields(), "json_schema": Fields(FORMAT, ("name", "schema"))})

PARAMETERS: Mapping[str, Kind] = {
    "model": Text(1),
    "input": Either({str: Text(1), list: ITEMS}, "one of a string or array of objects"),
    "instructions": Text(),
    "stream": Flag(),
    "stream_options": Fields({"include_obfuscation": Flag()}),
    "max_output_tokens": Whole(16),
    "max_tool_calls": Whole(1),
    "tools": Many(Tagged({"function": Fields(FUNCTION, ("name",))}), 0, 128),
    "tool_choice": _TOOL_CHOICE,
    "parallel_tool_calls": Flag(),
    "text": Fields({"format": _FORMAT, "verbosity": OneOf(("low", "medium", "high"))}),
    "reasoning": Fields({"effort": OneOf(("none", "minimal", "low", "medium", "high", "xhigh", "max")), "summary": Text()}),
    "include": Many(Text()),
    "temperature": Number(0, 2),
    "top_p": Number(0, 1),
    "top_logprobs": Whole(0, 20),
    "truncation": OneOf(("auto", "disabled")),
    "metadata": TextMap(16),
    "store": Flag(),
    "background": Flag(),
    "previous_response_id": Text(1),
    "conversation": Anything(),
    "prompt": Anything(),
    "user": Text(),
    "safety_identifier": Text(),
    "prompt_cache_key": Text(),
    "service_tier": OneOf(("auto", "default", "flex", "scale", "priority", "fast")),
}
"""The parameters that are understood or at least checked; others are accepted and let be, as OpenAI-compatible servers do."""
REQUIRED = ("model", "input")

_REPEATED: Mapping[str, Any] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""What a response repeats of its request, with what is assumed where the request is silent."""


class OpenAIResponses:
    """Responses, whole and streamed."""

    route: Final = RESPONSES
    id_prefix: Final = "resp_"

    def __init__(self, name: DialectName = "openai") -> None:
        self.name = name

    def parse(self, body: Body) -> ChatCall:
        """Check a request. Raises ProviderError 400 naming the parameter, 404 for what is not remembered."""
        try:
            return _parse(body)
        except MismatchError as wrong:
            raise openai_error(wrong) from None

    def whole(self, answer: Answer, call: ChatCall) -> bytes:
        """The JSON body."""
        return encode(finished(answer, call))

    def frames(self, answer: Answer, call: ChatCall, tokens_per_chunk: int) -> list[Frame]:
        """The events, numbered in sequence."""
        return frames(answer, call, tokens_per_chunk)


def _parse(body: Body) -> ChatCall:
    for name in REQUIRED:
        if body.get(name) is None:
            raise MismatchError((name,), "missing")
    check_present(body, PARAMETERS)
    _check_memory(body)
    turns, pictures = read_items(body["input"]) if isinstance(body["input"], list) else ((Turn("user", body["input"]),), 0)
    instructions = body.get("instructions")
    call = ChatCall(
        body["model"],
        (Turn("system", instructions), *turns) if instructions else turns,
        stream=body.get("stream") is True,
        include_usage=True,
        max_tokens=body.get("max_output_tokens"),
        parallel_tools=body.get("parallel_tool_calls") is not False,
        logprobs=(body.get("top_logprobs") or 0) if LOGPROBS in (body.get("include") or ()) else None,
        other_tokens=pictures,
        repeated=_repeated(body),
        tenant=tenant(body),
    )
    if body.get("tools") or body.get("tool_choice"):
        call = _with_tools(call, body)
    form = (body.get("text") or {}).get("format")
    return replace(call, json_schema=read_format(form, ("text", "format"), call.prompt)) if form else call


def _with_tools(call: ChatCall, body: Body) -> ChatCall:
    choice = _choice(body.get("tool_choice"))
    tools, count = read_functions(body.get("tools") or (), "tools[{}]")
    return replace(call, tools=choose(tools, choice, body), tool_choice=choice.wanted, other_tokens=call.other_tokens + count)


def _choice(value: str | Mapping[str, Any] | None) -> Choice:
    if value is None or isinstance(value, str):
        return Choice(value or "auto")
    if value["type"] == "function":
        return Choice(value["name"])
    return Choice(value["mode"], tuple(tool["name"] for tool in value["tools"]))


def _check_memory(body: Body) -> None:
    """Raises ProviderError for what would have to be remembered, before or after."""
    previous = body.get("previous_response_id")
    if previous is not None:
        raise refused("previous_response_id", f"Previous response with id '{previous}' not found.", "previous_response_not_found")
    for name in ("conversation", "prompt"):
        value = body.get(name)
        if value is not None:
            known = value.get("id") if isinstance(value, dict) else value
            raise ProviderError(404, f"{name.capitalize()} with id '{str(known)[:80]}' not found.", param=name)
    if body.get("background"):
        raise refused("background", "Unsupported parameter: 'background' is not supported with this model.", "unsupported_parameter")


def _repeated(body: Body) -> Mapping[str, Any]:
    given = {name: body[name] for name in _REPEATED if body.get(name) is not None}
    if "text" in given:
        given["text"] = {**_REPEATED["text"], **{name: value for name, value in given["text"].items() if value is not None}}
    if "tools" in given:
        given["tools"] = [{"description": None, "parameters": None, "strict": None, **tool} for tool in given["tools"]]
    return {**_REPEATED, **given}
