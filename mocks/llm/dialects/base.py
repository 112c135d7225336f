"""What a dialect is, and the encoding that all of them share."""

from collections.abc import Callable, Iterable, Mapping
from itertools import repeat
from typing import Any, Literal, Protocol

import orjson

from mocks.llm.answer import Answer, ChatCall
from mocks.llm.errors import ProviderError
from mocks.llm.plan import Frame, FrameKind

DialectName = Literal["openai", "azure", "anthropic"]
Body = Mapping[str, Any]

encode: Callable[[object], bytes] = orjson.dumps
"""Compact JSON in UTF-8."""

NO_JSON = "We could not parse the JSON body of your request. The API expects a JSON object."


class Dialect(Protocol):
    """One provider's way of asking for text and of answering with it, on one route."""

    @property
    def name(self) -> DialectName:
        """Whose words they are."""

    @property
    def route(self) -> str:
        """CHAT, RESPONSES or MESSAGES."""

    @property
    def id_prefix(self) -> str:
        """What the id of every answer begins with: `chatcmpl-`, `resp_` or `msg_`."""

    def parse(self, body: Body) -> ChatCall:
        """Check a request. Raises ProviderError 400 naming the parameter."""

    def whole(self, answer: Answer, call: ChatCall) -> bytes:
        """The JSON body of an answer in one piece."""

    def frames(self, answer: Answer, call: ChatCall, tokens_per_chunk: int) -> list[Frame]:
        """The events of a streamed answer, in the order of the tokens that they wait for.

        The first content of a choice holds one token, every further event up to `tokens_per_chunk`; what opens it leaves with the first.
        """


def parse_json(raw: bytes) -> dict[str, Any]:
    """A request's body as a JSON object. Raises ProviderError 400."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise ProviderError(400, NO_JSON) from error
    if type(body) is not dict:
        raise ProviderError(400, NO_JSON)
    return body


class _Quoted(dict[str, bytes]):
    """Short texts as JSON strings, encoded once; emptied when it is full, so that no client can make it grow."""

    def __missing__(self, text: str) -> bytes:
        encoded = orjson.dumps(text)
        if len(text) <= _LONGEST_KEPT:
            if len(self) >= _MOST_KEPT:
                self.clear()
            self[text] = encoded
        return encoded


_MOST_KEPT = 16_384
_LONGEST_KEPT = 64  # characters

quoted: Callable[[str], bytes] = _Quoted().__getitem__
"""A piece of text as a JSON string. Texts repeat their tokens, so most have been encoded before."""


def event(name: str, data: Mapping[str, Any]) -> bytes:
    """A named server-sent event."""
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"


def text_frames(pieces: tuple[str, ...], before: bytes, after: bytes, size: int, token: int = 0) -> list[Frame]:
    """One event for each group of tokens, the text as a JSON string between `before` and `after`: the hot path of the mock.

    `token` tokens have been generated before them.
    """
    data = [before + text + after for text in map(quoted, grouped(pieces, size))]
    return content_frames(data, last_tokens(len(pieces), size, token))


def content_frames(data: Iterable[bytes], tokens: Iterable[int]) -> list[Frame]:
    """Events of content, each with the number of the token that it waits for."""
    return list(map(_frame, data, tokens, repeat(_CONTENT)))


_frame: Callable[[bytes, int, FrameKind], Frame] = Frame
_CONTENT: FrameKind = "content"


def grouped(tokens: tuple[str, ...], size: int) -> list[str]:
    """The tokens as texts of events: the first alone, then up to `size` together."""
    if size == 1:
        return list(tokens)
    return [*tokens[:1], *("".join(tokens[i : i + size]) for i in range(1, len(tokens), size))]


def last_tokens(count: int, size: int, before: int = 0) -> list[int]:
    """For each text of `grouped`, the number (from 1) of its last token, where `before` tokens went before them."""
    if size == 1:
        return list(range(before + 1, before + count + 1))
    return [before + 1, *(before + min(count, i + size) for i in range(1, count, size))] if count else []
