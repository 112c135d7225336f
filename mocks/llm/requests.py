"""What clients ask for: request bodies, checked the way the provider checks them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mocks.llm.wire import ProviderError

_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_MOST_STOPS = 4
_MOST_INPUTS = 2_048

Body = Mapping[str, Any]


@dataclass(frozen=True)
class ChatRequest:
    """A checked `POST /v1/chat/completions`; `prompt` is the text of all messages, in order."""

    model: str
    prompt: str
    stream: bool
    include_usage: bool
    max_tokens: int | None
    stop: tuple[str, ...]


@dataclass(frozen=True)
class EmbeddingRequest:
    """A checked `POST /v1/embeddings`; `dimensions` None means all of the model's."""

    model: str
    inputs: tuple[str, ...]
    dimensions: int | None
    as_base64: bool


def parse_body(raw: bytes) -> Body:
    """The body as a JSON object. Raises ProviderError 400."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise ProviderError(400, "We could not parse the JSON body of your request. The API expects a JSON object.")
    return body


def request_key(seed: int, route: str, body: Body) -> str:
    """What identifies this request for everything drawn: equal bodies on one route under one seed have equal keys, in every process."""
    canonical = json.dumps([seed, route, body], sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(canonical.encode(), digest_size=16).hexdigest()


def parse_chat(body: Body) -> ChatRequest:
    """Check a chat request. Raises ProviderError 400 naming the parameter."""
    if body.get("n", 1) not in (1, None):
        raise _invalid("n", "this provider makes one choice a request; 'n' must be 1")
    options = body.get("stream_options") or {}
    if not isinstance(options, dict):
        raise _invalid("stream_options", "expected an object")
    stream = _flag(body, "stream")
    if options and not stream:
        raise _invalid("stream_options", "the 'stream_options' parameter is only allowed when 'stream' is enabled")
    return ChatRequest(
        model=_text(body, "model"),
        prompt=_prompt(body.get("messages")),
        stream=stream,
        include_usage=_flag(options, "include_usage"),
        max_tokens=_whole(body, "max_completion_tokens") or _whole(body, "max_tokens"),
        stop=_stops(body.get("stop")),
    )


def parse_embedding(body: Body, most_dimensions: int) -> EmbeddingRequest:
    """Check an embedding request. Raises ProviderError 400 naming the parameter."""
    dimensions = _whole(body, "dimensions")
    if dimensions is not None and dimensions > most_dimensions:
        raise _invalid("dimensions", f"this model has {most_dimensions} dimensions at most")
    encoding = body.get("encoding_format") or "float"
    if encoding not in ("float", "base64"):
        raise _invalid("encoding_format", "expected 'float' or 'base64'")
    return EmbeddingRequest(_text(body, "model"), _inputs(body.get("input")), dimensions, encoding == "base64")


def _inputs(value: object) -> tuple[str, ...]:
    inputs = [value] if isinstance(value, str) else value
    if not isinstance(inputs, list) or not inputs or not all(isinstance(item, str) and item for item in inputs):
        raise _invalid("input", "expected a non-empty string, or a non-empty array of them")
    if len(inputs) > _MOST_INPUTS:
        raise _invalid("input", f"expected at most {_MOST_INPUTS} inputs, got {len(inputs)}")
    return tuple(inputs)


def _prompt(messages: object) -> str:
    if not isinstance(messages, list) or not messages:
        raise _invalid("messages", "expected a non-empty array of messages")
    return "\n\n".join(_content(i, message) for i, message in enumerate(messages))


def _content(index: int, message: object) -> str:
    where = f"messages[{index}]"
    if not isinstance(message, dict) or message.get("role") not in _ROLES:
        raise _invalid(f"{where}.role", f"expected one of {', '.join(sorted(_ROLES))}")
    content = message.get("content")
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        texts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
        if len(texts) == len(content) and all(isinstance(text, str) for text in texts):
            return "\n".join(str(text) for text in texts)
    raise _invalid(f"{where}.content", "expected a string or an array of text parts")


def _stops(value: object) -> tuple[str, ...]:
    stops = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(stops, list) or len(stops) > _MOST_STOPS or not all(isinstance(stop, str) and stop for stop in stops):
        raise _invalid("stop", f"expected a non-empty string, or an array of at most {_MOST_STOPS}")
    return tuple(stops)


def _text(body: Body, name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise _invalid(name, f"you must provide a '{name}' parameter" if value is None else "expected a non-empty string")
    return value


def _flag(body: Body, name: str) -> bool:
    value = body.get(name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise _invalid(name, "expected a boolean")
    return value


def _whole(body: Body, name: str) -> int | None:
    value = body.get(name)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise _invalid(name, "expected a whole number of at least 1")
    return value


def _invalid(param: str, reason: str) -> ProviderError:
    return ProviderError(400, f"Invalid value for '{param}': {reason}.", param=param)
