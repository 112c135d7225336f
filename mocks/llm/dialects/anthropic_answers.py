"""Answers in Anthropic's words: a message of blocks, whole and as events."""

from collections.abc import Sequence
from typing import Any

import orjson

from mocks.llm.answer import Answer, Choice, ToolCall, Usage
from mocks.llm.dialects.base import encode, event, text_frames
from mocks.llm.plan import Frame
from mocks.llm.words import tokens

PING = b'event: ping\ndata: {"type": "ping"}\n\n'
"""Keeps a stream alive; may come at any time."""

_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}


def whole(answer: Answer) -> bytes:
    """The JSON body."""
    choice = answer.choices[0]
    content = [] if _is_empty(choice) else [_block(part) for part in _parts(choice)]
    return encode(_message(answer, content, _stop_reason(choice), choice.stopped_by, answer.usage.completion_tokens))


def frames(answer: Answer, tokens_per_chunk: int) -> list[Frame]:
    """The events: the message opens, its blocks one after the other, the stop reason with the usage, the message stops."""
    choice = answer.choices[0]
    opened = event("message_start", {"type": "message_start", "message": _message(answer, [], None, None, 1)})
    found = [Frame(opened, 1, "open")]
    token = 0
    for i, part in enumerate([] if _is_empty(choice) else _parts(choice)):
        started = event("content_block_start", {"type": "content_block_start", "index": i, "content_block": _opening(part)})
        found.append(Frame(started, token + 1, "open"))
        if i == 0:
            found.append(Frame(PING, 1, "comment"))
        pieces = _pieces(choice, part)
        found += text_frames(pieces, _delta_head(i, part), b"}}\n\n", tokens_per_chunk, token)
        token += len(pieces)
        stopped = event("content_block_stop", {"type": "content_block_stop", "index": i})
        found.append(Frame(stopped, max(1, token), "finish"))
    return found + _closing(choice, answer.usage, max(1, token))


def _message(answer: Answer, content: list[Any], stop_reason: str | None, stopped_by: str | None, written: int) -> dict[str, Any]:
    return {
        "id": answer.id,
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": stopped_by,
        "usage": {
            "input_tokens": answer.usage.prompt_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": written,
            "service_tier": "standard",
        },
    }


def _is_empty(choice: Choice) -> bool:
    """A model that has nothing to say answers without any block."""
    return not (choice.tool_calls or choice.refusal or choice.tokens)


def _parts(choice: Choice) -> Sequence[ToolCall | str]:
    """What becomes a block each: calls of tools, else the text."""
    if choice.tool_calls:
        return choice.tool_calls
    return [choice.text if choice.refusal is None else choice.refusal]


def _block(part: ToolCall | str) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    return {**_opening(part), "input": _input(part.arguments)}


def _opening(part: ToolCall | str) -> dict[str, Any]:
    """A block before any of its content."""
    if isinstance(part, str):
        return {"type": "text", "text": ""}
    return {"type": "tool_use", "id": f"toolu_{part.id.removeprefix('call_')}", "name": part.name, "input": {}}


def _input(arguments: str) -> Any:
    """The arguments as an object; nothing of them where a token limit cut them short."""
    try:
        return orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return {}


def _pieces(choice: Choice, part: ToolCall | str) -> tuple[str, ...]:
    if isinstance(part, ToolCall):
        return tuple(tokens(part.arguments))
    return choice.tokens if choice.refusal is None else tuple(tokens(part))


def _delta_head(index: int, part: ToolCall | str) -> bytes:
    kind = b'"text_delta","text":' if isinstance(part, str) else b'"input_json_delta","partial_json":'
    return b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":' % index + kind


def _stop_reason(choice: Choice) -> str:
    if choice.refusal is not None:
        return "refusal"
    return "stop_sequence" if choice.stopped_by is not None else _STOP_REASONS[choice.finish]


def _closing(choice: Choice, usage: Usage, token: int) -> list[Frame]:
    delta = {"stop_reason": _stop_reason(choice), "stop_sequence": choice.stopped_by}
    counted = {
        "input_tokens": usage.prompt_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": usage.completion_tokens,
    }
    ended = event("message_delta", {"type": "message_delta", "delta": delta, "usage": counted})
    return [Frame(ended, token, "finish"), Frame(event("message_stop", {"type": "message_stop"}), token, "done")]
