"""When the model calls a tool, and with which arguments."""

from random import Random

import orjson

from mocks.llm.answer import ChatCall, Tool, ToolCall
from mocks.llm.answers.reading import question
from mocks.llm.answers.schemas import fill
from mocks.llm.words import COMMON_WORDS, STOP_WORDS, parts, stem, words


def called(call: ChatCall, rng: Random) -> tuple[ToolCall, ...]:
    """The call that the request's `tool_choice` wants, or, left to the model, the one that the question is about; else none.

    Left to itself the model answers in prose once a tool has answered it.
    """
    if call.tool_choice == "none" or not call.tools:
        return ()
    asked = question(call)
    if call.tool_choice == "auto":
        tool = None if call.turns[-1].role == "tool" else _meant(call.tools, asked)
    else:
        tool = _named(call.tools, call.tool_choice) or _meant(call.tools, asked) or call.tools[0]
    return () if tool is None else (make_call(tool, asked, rng),)


def make_call(tool: Tool, asked: str, rng: Random) -> ToolCall:
    """A call whose arguments obey the tool's schema; their free strings are what the question says beyond the tool's name."""
    arguments = fill(tool.schema, _subject(tool, asked), rng)
    return ToolCall(call_id(rng), tool.name, orjson.dumps(arguments).decode())


def call_id(rng: Random) -> str:
    """A new id for a call."""
    return f"call_{rng.getrandbits(96):024x}"


def _named(tools: tuple[Tool, ...], name: str) -> Tool | None:
    return next((tool for tool in tools if tool.name == name), None)


def _meant(tools: tuple[Tool, ...], asked: str) -> Tool | None:
    """The tool whose name the question says, whole or in all its telling words; of several, the one with most; the first of equals."""
    said = {stem(word.lower()) for word in words(asked)} | {part for word in words(asked) for part in parts(word)}
    names = {word.lower() for word in words(asked)}
    best, most = None, 0
    for tool in tools:
        telling = _telling(tool)
        held = len(telling) if telling <= said else 0
        if tool.name.lower() in names:
            held = max(held, 1) + len(telling)
        if held > most:
            best, most = tool, held
    return best


def _telling(tool: Tool) -> frozenset[str]:
    """The words of a tool's name that say what it is about: the uncommon ones, where there are any."""
    known = frozenset(parts(tool.name))
    return known - COMMON_WORDS or known


def _subject(tool: Tool, asked: str) -> str:
    spoken = frozenset(parts(tool.name))
    left = [word for word in words(asked) if word.lower() not in STOP_WORDS and stem(word.lower()) not in spoken]
    return " ".join(left) or asked
