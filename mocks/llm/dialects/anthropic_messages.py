"""The messages of an Anthropic request: checked as Anthropic checks them, and read as turns."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import orjson

from mocks.llm.answer import Turn
from mocks.llm.dialects.compounds import Either, Fields, Many, Tagged
from mocks.llm.dialects.kinds import Flag, OneOf, Text
from mocks.llm.errors import ProviderError

PICTURE_TOKENS = 1_568
"""What a picture counts as in the prompt: the most that one may. Pictures are never fetched."""
DOCUMENT_TOKENS = 3_000
"""What a document that is no text counts as: a page or two."""

_BLOCK_TEXT = Fields({"text": Text(1), "cache_control": Fields()}, ("text",))
_IMAGE = Fields(
    {
        "source": Tagged(
            {
                "base64": Fields({"media_type": Text(1), "data": Text(1)}, ("media_type", "data")),
                "url": Fields({"url": Text(1)}, ("url",)),
                "file": Fields({"file_id": Text(1)}, ("file_id",)),
            }
        )
    },
    ("source",),
)
_DOCUMENT = Fields({"source": Fields({"type": Text(1)}, ("type",)), "title": Text(), "context": Text()}, ("source",))
_SEARCH_RESULT = Fields({"content": Many(Tagged({"text": _BLOCK_TEXT})), "source": Text(), "title": Text()}, ("content", "source", "title"))
_THINKING = Fields({"thinking": Text(), "signature": Text()}, ("thinking", "signature"))
_TOOL_USE = Fields({"id": Text(1), "name": Text(1, 200), "input": Fields()}, ("id", "name", "input"))
_RESULT_BLOCKS = Many(Tagged({"text": _BLOCK_TEXT, "image": _IMAGE, "document": _DOCUMENT, "search_result": _SEARCH_RESULT}))
_TOOL_RESULT = Fields(
    {"tool_use_id": Text(1), "content": Either({str: Text(), list: _RESULT_BLOCKS}, "list"), "is_error": Flag()}, ("tool_use_id",)
)
_BLOCKS = Tagged(
    {
        "text": _BLOCK_TEXT,
        "image": _IMAGE,
        "document": _DOCUMENT,
        "search_result": _SEARCH_RESULT,
        "thinking": _THINKING,
        "redacted_thinking": Fields({"data": Text()}, ("data",)),
        "tool_use": _TOOL_USE,
        "tool_result": _TOOL_RESULT,
    }
)
MESSAGES = Many(
    Fields(
        {"role": OneOf(("user", "assistant", "system")), "content": Either({str: Text(), list: Many(_BLOCKS)}, "list")}, ("role", "content")
    ),
    1,
)
SYSTEM = Either({str: Text(), list: Many(Tagged({"text": _BLOCK_TEXT}))}, "list")

Block = Mapping[str, Any]


def read_system(value: str | Sequence[Block] | None) -> tuple[Turn, ...]:
    """The turn that a `system` of kind SYSTEM stands for."""
    if not value:
        return ()
    return (Turn("system", value if isinstance(value, str) else "\n".join(block["text"] for block in value)),)


def read_messages(messages: Sequence[Mapping[str, Any]]) -> tuple[tuple[Turn, ...], int]:
    """The turns of messages that are of kind MESSAGES, and what the pictures and documents among them count in tokens.

    Results of tools become turns of their own, before what else the user says. Raises ProviderError 400 where the sequence makes no sense.
    """
    turns: list[Turn] = []
    other = 0
    waiting: list[str] = []
    for i, message in enumerate(messages):
        role = message["role"]
        blocks: Sequence[Block] = (
            [{"type": "text", "text": message["content"]}] if isinstance(message["content"], str) else message["content"]
        )
        _check_said(blocks, role, i, last=i == len(messages) - 1)
        results = [block for block in blocks if block["type"] == "tool_result"]
        _check_results(results, waiting, i)
        turns += [Turn("tool", "\n".join(_texts(_result_blocks(block)))) for block in results]
        said = "\n".join(_texts(block for block in blocks if block["type"] != "tool_result"))
        if said or not results:
            turns.append(Turn(role, said))
        other += sum(_other_tokens(block) for block in _flat(blocks))
        waiting = [block["id"] for block in blocks if block["type"] == "tool_use"]
    if waiting:
        raise _unanswered(len(messages) - 1, waiting)
    return tuple(turns), other


def _check_said(blocks: Sequence[Block], role: Literal["user", "assistant", "system"], index: int, *, last: bool) -> None:
    if index == 0 and role == "assistant":
        raise ProviderError(400, 'messages: first message must use the "user" role')
    empty = all(block["type"] == "text" and not block["text"].strip() for block in blocks)
    if empty and not (last and role == "assistant"):
        raise ProviderError(
            400, f"messages.{index}: all messages must have non-empty content except for the optional final assistant message"
        )


def _check_results(results: Sequence[Block], waiting: Sequence[str], index: int) -> None:
    """The results of tools are in the message after the calls, all of them and no others."""
    given = [block["tool_use_id"] for block in results]
    missing = [one for one in waiting if one not in given]
    if missing:
        raise _unanswered(index - 1, missing)
    unexpected = next((one for one in given if one not in waiting), None)
    if unexpected is not None:
        must = "Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
        raise ProviderError(400, f"messages.{index}: unexpected `tool_use_id` found in `tool_result` blocks: {unexpected}. {must}")


def _unanswered(index: int, ids: Sequence[str]) -> ProviderError:
    must = "Each `tool_use` block must have a corresponding `tool_result` block in the next message."
    found = "`tool_use` ids were found without `tool_result` blocks immediately after"
    return ProviderError(400, f"messages.{index}: {found}: {', '.join(ids)}. {must}")


def _result_blocks(block: Block) -> Sequence[Block]:
    content = block.get("content") or []
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _flat(blocks: Sequence[Block]) -> Iterable[Block]:
    """The blocks, those within results of tools among them."""
    for block in blocks:
        yield block
        if block["type"] == "tool_result":
            yield from _result_blocks(block)


def _texts(blocks: Iterable[Block]) -> Iterable[str]:
    for block in blocks:
        match block["type"]:
            case "text":
                yield block["text"]
            case "search_result":
                yield from (part["text"] for part in block["content"])
            case "document" if isinstance(block["source"].get("data"), str) and block["source"]["type"] == "text":
                yield block["source"]["data"]
            case "tool_use":
                yield f"{block['name']}({orjson.dumps(block['input']).decode()})"


def _other_tokens(block: Block) -> int:
    if block["type"] == "image":
        return PICTURE_TOKENS
    return DOCUMENT_TOKENS if block["type"] == "document" and block["source"]["type"] != "text" else 0
