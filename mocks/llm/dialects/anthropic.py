"""`POST /v1/messages` in Anthropic's words."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from mocks.llm.answer import MESSAGES, Answer, ChatCall, Tool
from mocks.llm.answers.schema_keywords import SchemaError
from mocks.llm.answers.schemas import check_schema
from mocks.llm.dialects import anthropic_messages as said
from mocks.llm.dialects.anthropic_answers import frames, whole
from mocks.llm.dialects.base import Body, DialectName, encode
from mocks.llm.dialects.compounds import Fields, Many, Tagged, check_present
from mocks.llm.dialects.kinds import Anything, Flag, Kind, MismatchError, Number, OneOf, Text, Whole
from mocks.llm.dialects.wording import anthropic_error
from mocks.llm.errors import ProviderError
from mocks.llm.plan import Frame
from mocks.llm.words import tokens

_VERSION = re.compile(r"20\d\d-\d\d-\d\d")  # the date that a client was written for; a newer client than this mock must do

_TOOL = Tagged(
    {"custom": Fields({"name": Text(1, 128), "description": Text(), "input_schema": Fields(), "strict": Flag()}, ("name", "input_schema"))},
    default="custom",
)
_TOOL_CHOICE = Tagged(
    {
        "auto": Fields({"disable_parallel_tool_use": Flag()}),
        "any": Fields({"disable_parallel_tool_use": Flag()}),
        "tool": Fields({"name": Text(1), "disable_parallel_tool_use": Flag()}, ("name",)),
        "none": Fields(),
    }
)
_THINKING = Tagged(
    {
        "enabled": Fields({"budget_tokens": Whole(1_024)}, ("budget_tokens",)),
        "disabled": Fields(),
        "adaptive": Fields(),
        "between_tools": Fields(),
    }
)
_FORMAT = Tagged({"json_schema": Fields({"schema": Fields()}, ("schema",))})

COUNTED: Mapping[str, Kind] = {
    "model": Text(1),
    "messages": said.MESSAGES,
    "system": said.SYSTEM,
    "tools": Many(_TOOL),
    "tool_choice": _TOOL_CHOICE,
    "thinking": _THINKING,
}
"""The parameters of a count of tokens."""
PARAMETERS: Mapping[str, Kind] = {
    **COUNTED,
    "max_tokens": Whole(1),
    "stream": Flag(),
    "stop_sequences": Many(Text(1)),
    "temperature": Number(0, 1),
    "top_p": Number(0, 1),
    "top_k": Whole(0),
    "metadata": Fields({"user_id": Text(0, 256)}),
    "service_tier": OneOf(("auto", "standard_only")),
    "output_config": Fields({"format": _FORMAT, "effort": OneOf(("low", "medium", "high", "xhigh", "max"))}),
    "cache_control": Anything(),
}
"""The parameters that are understood or at least checked; others are accepted and let be."""
REQUIRED = ("model", "max_tokens", "messages")
COUNTED_REQUIRED = ("model", "messages")

_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


class AnthropicMessages:
    """Messages, whole and streamed."""

    name: DialectName = "anthropic"
    route: Final = MESSAGES
    id_prefix: Final = "msg_"

    def parse(self, body: Body) -> ChatCall:
        """Check a request. Raises ProviderError 400 whose message begins with the path to the parameter."""
        try:
            return _parse(body)
        except MismatchError as wrong:
            raise anthropic_error(wrong) from None

    def whole(self, answer: Answer, call: ChatCall) -> bytes:  # noqa: ARG002  # the dialects' signature; here the answer says it all
        """The JSON body."""
        return whole(answer)

    def frames(self, answer: Answer, call: ChatCall, tokens_per_chunk: int) -> list[Frame]:  # noqa: ARG002  # likewise
        """The events."""
        return frames(answer, tokens_per_chunk)


def check_version(header: str | None) -> None:
    """Whether the `anthropic-version` header is there and is one. Raises ProviderError 400."""
    if header is None:
        raise ProviderError(400, "anthropic-version: header is required")
    if not _VERSION.fullmatch(header):
        raise ProviderError(400, f'anthropic-version: "{header}" is not a valid version')


def parse_count(body: Body) -> ChatCall:
    """Check a request of `POST /v1/messages/count_tokens`: `answers.base.prompt_tokens` counts it. Raises ProviderError 400."""
    try:
        return _read(body, COUNTED_REQUIRED, COUNTED)
    except MismatchError as wrong:
        raise anthropic_error(wrong) from None


def token_count(count: int) -> bytes:
    """The answer of a count of tokens."""
    return encode({"input_tokens": count})


def _parse(body: Body) -> ChatCall:
    call = _read(body, REQUIRED, PARAMETERS)
    stops = body.get("stop_sequences") or ()
    if not all(stop.strip() for stop in stops):
        raise ProviderError(400, "stop_sequences: each stop sequence must contain non-whitespace")
    thinking = body.get("thinking") or {}
    if thinking.get("type") == "enabled" and thinking["budget_tokens"] >= body["max_tokens"]:
        raise ProviderError(400, "`max_tokens` must be greater than `thinking.budget_tokens`.")
    return replace(
        call,
        stream=body.get("stream") is True,
        include_usage=True,
        max_tokens=body["max_tokens"],
        stop=tuple(stops),
        json_schema=_schema((body.get("output_config") or {}).get("format")),
        tenant=(body.get("metadata") or {}).get("user_id") or None,
    )


def _read(body: Body, required: Sequence[str], kinds: Mapping[str, Kind]) -> ChatCall:
    """Model, turns and tools."""
    for name in required:
        if body.get(name) is None:
            raise MismatchError((name,), "missing")
    check_present(body, kinds)
    turns, other = said.read_messages(body["messages"])
    call = ChatCall(body["model"], (*said.read_system(body.get("system")), *turns), other_tokens=other)
    if body.get("tools") or body.get("tool_choice"):
        call = _with_tools(call, body)
    return call


def _with_tools(call: ChatCall, body: Body) -> ChatCall:
    found: Sequence[Mapping[str, Any]] = body.get("tools") or ()
    tools = tuple(_tool(tool, i) for i, tool in enumerate(found))
    choice = body.get("tool_choice") or {"type": "auto"}
    if not tools:
        raise ProviderError(400, "tool_choice: may only be specified while providing `tools`.")
    name = choice.get("name")
    if choice["type"] == "tool" and name not in {tool.name for tool in tools}:
        raise ProviderError(400, f"Tool '{name}' not found in provided tools")
    described = sum(len(tokens(tool["name"])) + len(tokens(tool.get("description") or "")) for tool in found)
    return replace(
        call,
        tools=tools,
        tool_choice=_CHOICES.get(choice["type"]) or str(name),
        parallel_tools=choice.get("disable_parallel_tool_use") is not True,
        other_tokens=call.other_tokens + described,
    )


def _tool(tool: Mapping[str, Any], index: int) -> Tool:
    where = f"tools.{index}.custom"
    if not _TOOL_NAME.fullmatch(tool["name"]):
        raise ProviderError(400, f"{where}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")
    schema = tool["input_schema"]
    if schema.get("type") != "object":
        raise ProviderError(
            400,
            f"{where}.input_schema.type: Input should be 'object'" if "type" in schema else f"{where}.input_schema.type: Field required",
        )
    return Tool(tool["name"], _checked(schema, f"{where}.input_schema", strict=bool(tool.get("strict"))))


def _schema(form: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    return None if form is None else _checked(form["schema"], "output_config.format.schema", strict=False)


def _checked(schema: Mapping[str, Any], where: str, *, strict: bool) -> Mapping[str, Any]:
    try:
        check_schema(schema, strict=strict)
    except SchemaError as error:
        raise ProviderError(400, f"{where}: {error}") from error
    return schema
