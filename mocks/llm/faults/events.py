"""Server-sent events as the providers frame them: found, taken apart, made."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from mocks.llm.answer import MESSAGES, RESPONSES
from mocks.llm.plan import Facts, Frame

_DATA = re.compile(rb"^data: ?(.*)$", re.MULTILINE)
_TEXT = re.compile(rb'"(?:content|delta|text|partial_json|arguments)":"')
_SEQUENCE = re.compile(rb'"sequence_number":(\d+)')


def position(frames: list[Frame], after_tokens: int) -> int | None:
    """Index of the first content after so many tokens, of the last one where the answer is shorter; None without content."""
    contents = [i for i, frame in enumerate(frames) if frame.kind == "content"]
    return next((i for i in contents if frames[i].token > after_tokens), contents[-1] if contents else None)


def until(frames: Iterable[Frame], after_tokens: int | None) -> Iterator[Frame]:
    """What comes before the first content after so many tokens (None: all content), and before the end of the answer in any case."""
    for frame in frames:
        if is_past(frame, after_tokens):
            return
        yield frame


def is_past(frame: Frame, after_tokens: int | None) -> bool:
    """Whether a frame lies behind so many tokens (None: all content)."""
    if frame.kind == "content":
        return after_tokens is not None and frame.token > after_tokens
    return frame.kind in ("finish", "usage", "done")


def payload(data: bytes) -> dict[str, Any] | None:
    """The JSON of the first event in a frame that has any."""
    for found in _DATA.finditer(data):
        if found[1].startswith(b"{"):
            value: dict[str, Any] = orjson.loads(found[1])
            return value
    return None


def data_span(data: bytes) -> tuple[int, int] | None:
    """Where the JSON of the first event in a frame begins and ends."""
    found = _DATA.search(data)
    return found.span(1) if found else None


def text_start(data: bytes) -> int | None:
    """Where the text that an event adds begins, behind its opening quote."""
    found = _TEXT.search(data)
    return found.end() if found else None


def renumbered(data: bytes, by: int) -> bytes:
    """The event with its sequence number (of the Responses API) raised; events of other APIs have none."""
    return _SEQUENCE.sub(lambda found: b'"sequence_number":%d' % (int(found[1]) + by), data)


def last_sequence(frames: list[Frame]) -> int:
    """The highest sequence number in the frames; -1 without any."""
    return max((int(number) for frame in frames for number in _SEQUENCE.findall(frame.data)), default=-1)


def sse(value: object, name: str | None = None) -> bytes:
    """One event."""
    head = b"" if name is None else b"event: " + name.encode() + b"\n"
    return head + b"data: " + orjson.dumps(value) + b"\n\n"


def ping(facts: Facts) -> bytes:
    """What the provider sends to keep a connection alive: Anthropic an event of its own, others a comment."""
    return sse({"type": "ping"}, "ping") if facts.route == MESSAGES else b": ping\n\n"


def error_value(facts: Facts, sequence: int) -> dict[str, Any]:
    """What an error in the middle of a stream says, in the words of the call's API."""
    if facts.route == MESSAGES:
        return {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": None}
    if facts.route == RESPONSES:
        message = "Our servers are currently overloaded. Please try again later."
        return {"type": "error", "code": "server_is_overloaded", "message": message, "param": None, "sequence_number": sequence}
    message = "The server had an error while processing your request. Sorry about that!"
    return {"error": {"message": message, "type": "server_error", "param": None, "code": None}}
