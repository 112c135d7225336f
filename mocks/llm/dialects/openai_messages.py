"""The messages of a chat completion request: checked as OpenAI checks them, and read as turns."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from mocks.llm.answer import Turn
from mocks.llm.dialects.compounds import Either, Fields, Many, Tagged
from mocks.llm.dialects.kinds import MismatchError, OneOf, Text
from mocks.llm.dialects.wording import refused
from mocks.llm.errors import ProviderError

PICTURE_TOKENS = {"low": 85, "high": 765, "auto": 765}
"""What a picture counts as in the prompt: 1024 x 1024 pixels as GPT-4o counts them. Pictures are never fetched."""

_TEXT_PART = Fields({"text": Text()}, ("text",))
_PICTURE = Fields({"image_url": Fields({"url": Text(1), "detail": OneOf(tuple(PICTURE_TOKENS))}, ("url",))}, ("image_url",))
_REFUSAL_PART = Fields({"refusal": Text()}, ("refusal",))
_CALL = Fields({"id": Text(1), "function": Fields({"name": Text(1), "arguments": Text()}, ("name", "arguments"))}, ("id", "function"))


def _content(**parts: Fields) -> Either:
    return Either({str: Text(), list: Many(Tagged(parts), 1)}, "one of a string or array of objects")


_PLAIN = _content(text=_TEXT_PART)
_SAID = Fields({"content": _PLAIN, "name": Text()}, ("content",))
MESSAGES = Many(
    Tagged(
        {
            "system": _SAID,
            "assistant": Fields(
                {
                    "content": _content(text=_TEXT_PART, refusal=_REFUSAL_PART),
                    "refusal": Text(),
                    "name": Text(),
                    "tool_calls": Many(Tagged({"function": _CALL}), 1, 128),
                }
            ),
            "user": Fields({"content": _content(text=_TEXT_PART, image_url=_PICTURE), "name": Text()}, ("content",)),
            "function": Fields({"content": Text(), "name": Text(1)}, ("content", "name")),
            "tool": Fields({"content": _PLAIN, "tool_call_id": Text()}, ("content", "tool_call_id")),
            "developer": _SAID,
        },
        tag="role",
    ),
    1,
)

TURN_ROLES: Mapping[str, Literal["system", "user", "assistant", "tool"]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}

_PLAIN_ROLES = frozenset({"system", "developer", "user", "assistant"})
"""Whose messages need nothing but a text."""


def plain_turns(messages: Any) -> tuple[Turn, ...] | None:
    """The turns of messages that have a role and a text each, and nothing else; None where that is not so, right or wrong.

    Most requests have no others, and to check these as MESSAGES takes four times as long.
    """
    if type(messages) is not list:
        return None
    turns = []
    for message in messages:
        if type(message) is not dict or len(message) != 2:
            return None
        role, text = message.get("role"), message.get("content")
        if type(text) is not str or type(role) is not str or role not in _PLAIN_ROLES:
            return None
        turns.append(Turn(TURN_ROLES[role], text))
    return tuple(turns) or None


def read_messages(messages: Sequence[Mapping[str, Any]]) -> tuple[tuple[Turn, ...], int]:
    """The turns of messages that are of kind MESSAGES, and what the pictures among them count in tokens.

    Raises MismatchError or ProviderError where calls of tools and their results do not belong together.
    """
    turns: list[Turn] = []
    pictures = 0
    waiting: list[str] = []
    for i, message in enumerate(messages):
        role = message["role"]
        if role == "tool":
            _take_result(message, i, waiting)
        elif waiting:
            raise _unanswered(waiting)
        text, tokens = _text(message.get("content"))
        if role == "assistant":
            text = _assistant_text(message, text, i)
            waiting = [call["id"] for call in message.get("tool_calls") or ()]
        turns.append(Turn(TURN_ROLES[role], text))
        pictures += tokens
    if waiting:
        raise _unanswered(waiting)
    return tuple(turns), pictures


def _text(content: str | Sequence[Mapping[str, Any]] | None) -> tuple[str, int]:
    """The text of a content, a line for each part, and what its pictures count."""
    if content is None or isinstance(content, str):
        return content or "", 0
    texts = [part[part["type"]] for part in content if part["type"] != "image_url"]
    pictures = [part["image_url"].get("detail") or "auto" for part in content if part["type"] == "image_url"]
    return "\n".join(texts), sum(PICTURE_TOKENS[detail] for detail in pictures)


def _assistant_text(message: Mapping[str, Any], text: str, index: int) -> str:
    """What the model said before: text, or a refusal, and its calls written out."""
    calls = message.get("tool_calls") or ()
    if message.get("content") is None and not calls and message.get("refusal") is None:
        raise MismatchError(("messages", index, "content"), "type", "one of a string or array of objects", None)
    written = [f"{call['function']['name']}({call['function']['arguments']})" for call in calls]
    return "\n".join(part for part in (text, message.get("refusal"), *written) if part)


def _take_result(message: Mapping[str, Any], index: int, waiting: list[str]) -> None:
    if message["tool_call_id"] not in waiting:
        sentence = "Invalid parameter: messages with role 'tool' must be a response to a preceding message with 'tool_calls'."
        raise refused(f"messages.[{index}].role", sentence)
    waiting.remove(message["tool_call_id"])


def _unanswered(waiting: Sequence[str]) -> ProviderError:
    must = "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'."
    return refused("messages", f"{must} The following tool_call_ids did not have response messages: {', '.join(waiting)}")
