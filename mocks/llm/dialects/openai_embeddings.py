"""`POST /v1/embeddings` in OpenAI's words, which Azure shares."""

import json
from binascii import b2a_base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from mocks.llm.answer import EmbeddingAnswer, EmbeddingCall
from mocks.llm.dialects.base import Body, encode
from mocks.llm.dialects.compounds import Either, Many, check_present
from mocks.llm.dialects.kinds import Kind, MismatchError, OneOf, Path, Schema, Text, Whole
from mocks.llm.dialects.openai_chat import tenant
from mocks.llm.dialects.wording import openai_error, refused
from mocks.llm.errors import ProviderError
from mocks.llm.hashing import Vector
from mocks.llm.words import tokens

MOST_INPUTS = 2_048
MOST_INPUT_TOKENS = 8_192
MOST_REQUEST_TOKENS = 300_000

_TEXT = Text(1)
_TOKEN_IDS = Many(Whole(0), 1, MOST_INPUT_TOKENS)
_INPUTS = Many(Either({str: _TEXT, list: _TOKEN_IDS}, "one of a string or array of integers"), 1, MOST_INPUTS)


class _Input:
    """A text, token ids, or an array of either; the first item of an array says which."""

    def check(self, value: Any, path: Path) -> None:
        """Raises MismatchError."""
        if isinstance(value, str):
            _TEXT.check(value, path)
        elif isinstance(value, list):
            (_TOKEN_IDS if _is_token_ids(value) else _INPUTS).check(value, path)
        else:
            raise MismatchError(path, "type", "one of a string or array", value)

    def schema(self) -> Schema:
        """The same as JSON Schema."""
        return {"anyOf": [_TEXT.schema(), _TOKEN_IDS.schema(), _INPUTS.schema()]}


def _is_token_ids(value: list[Any]) -> bool:
    return bool(value) and type(value[0]) is int


PARAMETERS: Mapping[str, Kind] = {
    "model": Text(1),
    "input": _Input(),
    "encoding_format": OneOf(("float", "base64")),
    "dimensions": Whole(1),
    "user": Text(),
}
REQUIRED = ("model", "input")


def parse_embeddings(body: Body, most_dimensions: int) -> EmbeddingCall:
    """Check a request. Raises ProviderError 400 naming the parameter."""
    try:
        return _parse(body, most_dimensions)
    except MismatchError as wrong:
        raise openai_error(wrong) from None


def input_text(item: str | tuple[int, ...]) -> str:
    """What is embedded for an input. A token id becomes a word, so that inputs that share ids lie close together, as texts do."""
    return item if isinstance(item, str) else " ".join(f"token{number}" for number in item)


def input_tokens(call: EmbeddingCall) -> int:
    """Tokens of all inputs; an id is one."""
    return sum(len(tokens(item)) if isinstance(item, str) else len(item) for item in call.inputs)


def embeddings(answer: EmbeddingAnswer) -> bytes:
    """The JSON body: base64 of little-endian float32, or numbers. What is no number is `NaN` or `Infinity`, as Python writes it."""
    written = _base64 if answer.as_base64 else _numbers
    items = [
        b'{"object":"embedding","index":%d,"embedding":%b}' % (index, written(vector))
        for index, vector in zip(answer.indices, answer.vectors, strict=True)
    ]
    usage = b'"usage":{"prompt_tokens":%d,"total_tokens":%d}}' % (answer.usage.prompt_tokens, answer.usage.prompt_tokens)
    return b'{"object":"list","data":[' + b",".join(items) + b'],"model":' + encode(answer.model) + b"," + usage


def _base64(vector: Vector) -> bytes:
    return b'"%b"' % b2a_base64(np.ascontiguousarray(vector, dtype="<f4").data, newline=False)


def _numbers(vector: Vector) -> bytes:
    if np.isfinite(vector).all():
        return orjson.dumps(np.ascontiguousarray(vector), option=orjson.OPT_SERIALIZE_NUMPY)
    return json.dumps(vector.tolist(), separators=(",", ":")).encode()


def _parse(body: Body, most_dimensions: int) -> EmbeddingCall:
    for name in REQUIRED:
        if body.get(name) is None:
            raise MismatchError((name,), "missing")
    check_present(body, PARAMETERS)
    dimensions = body.get("dimensions")
    if dimensions is not None and dimensions > most_dimensions:
        raise refused("dimensions", f"Invalid value for 'dimensions' = {dimensions}. Must be less than or equal to {most_dimensions}.")
    inputs = _inputs(body["input"])
    _check_size(inputs)
    return EmbeddingCall(body["model"], inputs, dimensions, body.get("encoding_format") == "base64", tenant(body))


def _inputs(value: Any) -> tuple[str | tuple[int, ...], ...]:
    """The inputs that are asked for."""
    if isinstance(value, str):
        return (value,)
    if _is_token_ids(value):
        return (tuple(value),)
    return tuple(item if isinstance(item, str) else tuple(item) for item in value)


def _check_size(inputs: Sequence[str | tuple[int, ...]]) -> None:
    """A token is a character at least: short inputs need no counting."""
    if sum(map(len, inputs)) <= MOST_INPUT_TOKENS:
        return
    counts = [len(tokens(item)) if isinstance(item, str) else len(item) for item in inputs]
    if max(counts) > MOST_INPUT_TOKENS:
        raise _too_long(f"This model's maximum context length is {MOST_INPUT_TOKENS} tokens, however you requested {max(counts)} tokens.")
    if sum(counts) > MOST_REQUEST_TOKENS:
        raise _too_long(f"Requested {sum(counts)} tokens, max {MOST_REQUEST_TOKENS} tokens per request.")


def _too_long(message: str) -> ProviderError:
    return refused("input", message)
