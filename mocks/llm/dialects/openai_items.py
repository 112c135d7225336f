"""The input of a Responses request: items, checked as OpenAI checks them, and read as turns."""

from collections.abc import Mapping, Sequence
from typing import Any

from mocks.llm.answer import Turn
from mocks.llm.dialects.compounds import Either, Fields, Many, Tagged
from mocks.llm.dialects.kinds import Anything, OneOf, Text
from mocks.llm.dialects.openai_messages import PICTURE_TOKENS, TURN_ROLES
from mocks.llm.dialects.wording import refused
from mocks.llm.errors import ProviderError

_TEXT = Fields({"text": Text()}, ("text",))
_IMAGE = Fields({"image_url": Text(), "file_id": Text(), "detail": OneOf(tuple(PICTURE_TOKENS))})
_CONTENT = Either(
    {
        str: Text(),
        list: Many(
            Tagged(
                {
                    "input_text": _TEXT,
                    "input_image": _IMAGE,
                    "output_text": _TEXT,
                    "refusal": Fields({"refusal": Text()}, ("refusal",)),
                }
            )
        ),
    },
    "one of a string or array of objects",
)
_OUTPUT = Either({str: Text(), list: Many(Tagged({"input_text": _TEXT, "input_image": _IMAGE}))}, "one of a string or array of objects")
ITEMS = Many(
    Tagged(
        {
            "message": Fields(
                {"role": OneOf(("assistant", "system", "developer", "user")), "content": _CONTENT, "id": Text()}, ("role", "content")
            ),
            "function_call": Fields(
                {"call_id": Text(1), "name": Text(1), "arguments": Text(), "id": Text()}, ("call_id", "name", "arguments")
            ),
            "function_call_output": Fields({"call_id": Text(1), "output": _OUTPUT, "id": Text()}, ("call_id", "output")),
            "reasoning": Fields({"id": Text(), "summary": Many(Anything()), "encrypted_content": Text()}, ("summary",)),
            "item_reference": Fields({"id": Text(1)}, ("id",)),
        },
        default="message",
    ),
    1,
)

Item = Mapping[str, Any]


def read_items(items: Sequence[Item]) -> tuple[tuple[Turn, ...], int]:
    """The turns of items that are of kind ITEMS, and what the pictures among them count in tokens.

    Raises ProviderError where calls of tools and their results do not belong together, or an item is one that only a memory could know.
    """
    _check_calls(items)
    turns: list[Turn] = []
    pictures = 0
    for item in items:
        match item.get("type", "message"):
            case "message":
                text, tokens = _text(item["content"])
                turns.append(Turn(TURN_ROLES[item["role"]], text))
                pictures += tokens
            case "function_call":
                turns.append(Turn("assistant", f"{item['name']}({item['arguments']})"))
            case "function_call_output":
                text, tokens = _text(item["output"])
                turns.append(Turn("tool", text))
                pictures += tokens
            case "item_reference":
                raise ProviderError(404, f"Item with id '{item['id']}' not found.", param="input")
    return tuple(turns), pictures


def _check_calls(items: Sequence[Item]) -> None:
    """Every call has its result and every result its call, before it."""
    called: set[str] = set()
    answered: set[str] = set()
    for item in items:
        if item.get("type") == "function_call":
            called.add(item["call_id"])
        elif item.get("type") == "function_call_output":
            answered.add(item["call_id"])
            if item["call_id"] not in called:
                raise refused("input", f"No tool call found for function call output with call_id {item['call_id']}.")
    if called - answered:
        raise refused("input", f"No tool output found for function call {min(called - answered)}.")


def _text(content: str | Sequence[Item]) -> tuple[str, int]:
    """The text of a content, a line for each part, and what its pictures count."""
    if isinstance(content, str):
        return content, 0
    texts = [part["refusal"] if part["type"] == "refusal" else part["text"] for part in content if part["type"] != "input_image"]
    pictures = [part.get("detail") or "auto" for part in content if part["type"] == "input_image"]
    return "\n".join(texts), sum(PICTURE_TOKENS[detail] for detail in pictures)
