"""What stands in a provider's answer: its text, its events, its vectors."""

from __future__ import annotations

import base64
import json
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.faults.programmed.wire import Exchange

CITED = "gauntlet-12"
ANSWER = "ZK-7F3A91"
"""What the documents of our own question say, and which of them does."""

_CITATION = re.compile(r"\[([^\]\s]+)\]")
_IDENTIFIER = re.compile(r"(?<![\w-])(?=[A-Za-z0-9-]*\d)[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*")
_WORD = re.compile(r"[^\W\d_]{2,}")


@dataclass(slots=True)
class Streamed:
    """A stream of chat completions. `broken` are events whose data is no JSON; `content_at_s` is when each piece of text came."""

    text: str = ""
    pieces: list[str] = field(default_factory=list)
    content_at_s: list[float] = field(default_factory=list)
    finish: str | None = None
    done: bool = False
    broken: list[bytes] = field(default_factory=list)
    errors: list[Any] = field(default_factory=list)
    named: list[str] = field(default_factory=list)  # `event:` lines
    comments: int = 0
    usage: bool = False
    model: str | None = None
    rest: bytes = b""
    """What stands behind the last whole event."""


def streamed(exchange: Exchange) -> Streamed:
    """The events of a stream, and when they were complete."""
    found, waiting = Streamed(), b""
    for at_s, piece in exchange.pieces:
        waiting = (waiting + piece).replace(b"\r\n", b"\n")
        *events, waiting = waiting.split(b"\n\n")
        for event in events:
            _take(found, event, at_s)
    found.text, found.rest = "".join(found.pieces), waiting
    return found


def _take(found: Streamed, event: bytes, at_s: float) -> None:
    for line in event.split(b"\n"):
        name, _, value = line.partition(b":")
        if not name:
            found.comments += 1
        elif name == b"event":
            found.named.append(value.strip().decode(errors="replace"))
        elif name == b"data" and value.strip() == b"[DONE]":
            found.done = True
        elif name == b"data":
            _data(found, value.strip(), at_s)


def _data(found: Streamed, data: bytes, at_s: float) -> None:
    try:
        value = json.loads(data.decode())
    except ValueError:  # UnicodeDecodeError is one
        found.broken.append(data)
        return
    if not isinstance(value, dict) or "error" in value:
        found.errors.append(value)
        return
    found.model = value.get("model", found.model)
    found.usage = found.usage or value.get("usage") is not None
    for choice in value.get("choices") or []:
        found.finish = choice.get("finish_reason") or found.finish
        content = (choice.get("delta") or {}).get("content")
        if content:
            found.pieces.append(content)
            found.content_at_s.append(at_s)


def message_of(value: Any) -> dict[str, Any]:
    """The message of an answer in one piece; empty where it has none."""
    try:
        message = value["choices"][0]["message"]
    except (KeyError, IndexError, TypeError):
        return {}
    return message if isinstance(message, dict) else {}


def whole_text(value: Any) -> str:
    """What an answer in one piece says."""
    content = message_of(value).get("content")
    return content if isinstance(content, str) else ""


def text_of(exchange: Exchange) -> str:
    """What an answer says, streamed or not."""
    if exchange.headers.get("content-type", "").startswith("text/event-stream"):
        return streamed(exchange).text
    return whole_text(exchange.value())


def model_of(exchange: Exchange) -> str | None:
    """Which model it says has answered."""
    if exchange.headers.get("content-type", "").startswith("text/event-stream"):
        return streamed(exchange).model
    value = exchange.value()
    return value.get("model") if isinstance(value, dict) else None


def citations(text: str) -> list[str]:
    """The documents that it names."""
    return _CITATION.findall(text)


def identifiers(text: str) -> set[str]:
    """Numbers and codes in it, citations left out."""
    return set(_IDENTIFIER.findall(_CITATION.sub(" ", text)))


def words(text: str) -> set[str]:
    """Its plain words."""
    return {word.lower() for word in _WORD.findall(_CITATION.sub(" ", _IDENTIFIER.sub(" ", text)))}


def vectors_of(exchange: Exchange) -> list[Any]:
    """The vectors of an answer, in its order: lists of numbers, or text where they come in base64."""
    value = exchange.value()
    items = value.get("data") if isinstance(value, dict) else None
    return [item.get("embedding") for item in items or [] if isinstance(item, dict)]


def indices_of(exchange: Exchange) -> list[Any]:
    """The places among the inputs that its items claim."""
    value = exchange.value()
    items = value.get("data") if isinstance(value, dict) else None
    return [item.get("index") for item in items or [] if isinstance(item, dict)]


def floats(vector: Any) -> Sequence[float]:
    """The numbers of a vector in either encoding; empty where it is neither."""
    if isinstance(vector, list):
        return [float(one) for one in vector]
    if not isinstance(vector, str):
        return ()
    data = base64.b64decode(vector)
    return struct.unpack(f"<{len(data) // 4}f", data)
