"""Tools and output formats as OpenAI's two text APIs know them: read, and refused where the provider refuses them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from mocks.llm.answer import Tool
from mocks.llm.answers.schema_keywords import SchemaError
from mocks.llm.answers.schemas import check_schema
from mocks.llm.dialects.compounds import Either, Fields, Many, Tagged
from mocks.llm.dialects.kinds import Flag, Kind, OneOf, Text
from mocks.llm.dialects.wording import openai_path, refused
from mocks.llm.words import tokens

MODES = ("none", "auto", "required")
FUNCTION: Mapping[str, Kind] = {"name": Text(1), "description": Text(), "parameters": Fields(), "strict": Flag()}
"""A function's definition: under `function` in a chat completion request, in the tool itself in a Responses request."""
FORMAT: Mapping[str, Kind] = {"name": Text(1, 64), "description": Text(), "schema": Fields(), "strict": Flag()}
"""A JSON format's definition: under `json_schema` in a chat completion request, in the format itself in a Responses request."""

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_NAMED = Fields({"name": Text(1)}, ("name",))

CHAT_TOOLS = Many(Tagged({"function": Fields({"function": Fields(FUNCTION, ("name",))}, ("function",))}), 1, 128)
CHAT_TOOL_CHOICE = Either(
    {
        str: OneOf(MODES),
        dict: Tagged(
            {
                "function": Fields({"function": _NAMED}, ("function",)),
                "allowed_tools": Fields(
                    {
                        "allowed_tools": Fields(
                            {
                                "mode": OneOf(("auto", "required")),
                                "tools": Many(Tagged({"function": Fields({"function": _NAMED}, ("function",))}), 1),
                            },
                            ("mode", "tools"),
                        )
                    },
                    ("allowed_tools",),
                ),
            }
        ),
    },
    "one of a string or object",
)
CHAT_FORMAT: Kind = Tagged(
    {
        "text": Fields(),
        "json_object": Fields(),
        "json_schema": Fields({"json_schema": Fields(FORMAT, ("name", "schema"))}, ("json_schema",)),
    }
)


class Choice(NamedTuple):
    """What `tool_choice` says: a mode or the name of a function; and which functions it is about, all where `allowed` is empty."""

    wanted: str = "auto"
    allowed: tuple[str, ...] = ()


def read_functions(functions: Iterable[Mapping[str, Any]], path: str) -> tuple[tuple[Tool, ...], int]:
    """Functions that are of kind FUNCTION, and how many tokens of prompt describe them. `path` has a place for the number.

    Raises ProviderError.
    """
    tools = []
    count = 0
    for i, function in enumerate(functions):
        name = function["name"]
        where = path.format(i)
        if not _NAME.fullmatch(name):
            pattern = (
                f"Expected a string of at most 64 characters that matches the pattern '^[a-zA-Z0-9_-]+$', but got '{name[:80]}' instead."
            )
            raise refused(f"{where}.name", f"Invalid '{where}.name': string does not match pattern. {pattern}", "invalid_value")
        schema = function.get("parameters") or {"type": "object", "properties": {}}
        try:
            check_schema(schema, strict=bool(function.get("strict")))
        except SchemaError as error:
            raise refused(f"{where}.parameters", f"Invalid schema for function '{name}': {error}", "invalid_function_parameters") from error
        tools.append(Tool(name, schema))
        count += len(tokens(name)) + len(tokens(function.get("description") or ""))
    return tuple(tools), count


def chat_choice(value: str | Mapping[str, Any] | None) -> Choice:
    """What a `tool_choice` of kind CHAT_TOOL_CHOICE says."""
    if value is None or isinstance(value, str):
        return Choice(value or "auto")
    if value["type"] == "function":
        return Choice(value["function"]["name"])
    allowed = value["allowed_tools"]
    return Choice(allowed["mode"], tuple(tool["function"]["name"] for tool in allowed["tools"]))


def choose(tools: tuple[Tool, ...], choice: Choice, body: Mapping[str, Any]) -> tuple[Tool, ...]:
    """The tools that the choice is about. Raises ProviderError where it names one that is not there, or there are none at all."""
    if not tools:
        for name in ("tool_choice", "parallel_tool_calls"):
            if body.get(name) not in (None, "none"):
                raise refused(name, f"Invalid value for '{name}': '{name}' is only allowed when 'tools' are specified.")
        return ()
    known = {tool.name for tool in tools}
    for name in (*choice.allowed, *(() if choice.wanted in MODES else (choice.wanted,))):
        if name not in known:
            raise refused("tool_choice", f"Tool choice '{name}' not found in 'tools' parameter.")
    return tuple(tool for tool in tools if tool.name in choice.allowed) if choice.allowed else tools


def read_format(form: Mapping[str, Any], path: Sequence[str], said: str) -> Mapping[str, Any] | None:
    """The JSON Schema that the output must obey; {} for any object; None where JSON is not wanted. `said` is all the text of the request.

    `path` leads to the format's definition. Raises ProviderError where the schema is none, or nobody asked for JSON in words.
    """
    kind = form["type"]
    if kind == "text":
        return None
    if kind == "json_object":
        if "json" not in said.lower():
            where = path[0]
            must = f"'{'input' if where == 'text' else 'messages'}' must contain the word 'json' in some form"
            raise refused("input" if where == "text" else "messages", f"{must}, to use '{openai_path(tuple(path))}' of type 'json_object'.")
        return {}
    definition = form.get("json_schema", form)
    schema: Mapping[str, Any] = definition["schema"]
    try:
        check_schema(schema, strict=bool(definition.get("strict")))
    except SchemaError as error:
        raise refused(openai_path(tuple(path)), f"Invalid schema for response_format '{definition['name']}': {error}") from error
    return schema
