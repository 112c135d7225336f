"""OpenAI's wire shapes: errors, completions, chunks, embeddings."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from mocks.llm.hashing import Vector

SYSTEM_FINGERPRINT = "fp_gauntlet"


@dataclass(eq=False)
class ProviderError(Exception):
    """An answer in OpenAI's error shape; `headers` go with it."""

    status: int
    message: str
    type: str = "invalid_request_error"
    param: str | None = None
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> bytes:
        """The JSON body."""
        return encode({"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}})


@dataclass(frozen=True)
class Usage:
    """Tokens read and written."""

    prompt_tokens: int
    completion_tokens: int = 0

    def chat(self) -> dict[str, int]:
        """As a chat completion reports it."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
        }

    def embedding(self) -> dict[str, int]:
        """As an embedding answer reports it."""
        return {"prompt_tokens": self.prompt_tokens, "total_tokens": self.prompt_tokens}


def encode(value: object) -> bytes:
    """Compact JSON in ASCII, so that even half a surrogate pair from a client's body can be echoed."""
    return json.dumps(value, separators=(",", ":")).encode()


def models(names: Sequence[str], created: int) -> dict[str, Any]:
    """The answer of `GET /v1/models`."""
    return {"object": "list", "data": [{"id": name, "object": "model", "created": created, "owned_by": "gauntlet"} for name in names]}


def completion(answer_id: str, created: int, model: str, text: str, finish_reason: str, usage: Usage) -> bytes:
    """A whole chat completion."""
    message = {"role": "assistant", "content": text, "refusal": None}
    return encode(
        {
            "id": answer_id,
            "object": "chat.completion",
            "created": created,
            "model": model,
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason}],
            "usage": usage.chat(),
            "system_fingerprint": SYSTEM_FINGERPRINT,
        }
    )


class ChunkWriter:
    """Encodes the events of one stream. The common head is encoded once, so that a token costs two concatenations."""

    def __init__(self, answer_id: str, created: int, model: str, *, include_usage: bool) -> None:
        head = {
            "id": answer_id,
            "object": "chat.completion.chunk",
            "created": created,
            "model": model,
            "system_fingerprint": SYSTEM_FINGERPRINT,
        }
        self._head = b"data: " + encode(head)[:-1] + b","
        self._include_usage = include_usage
        self._tail = (b',"usage":null' if include_usage else b"") + b"}\n\n"

    def role(self) -> bytes:
        """The first event, which holds no content."""
        return self._event(b'{"role":"assistant","content":"","refusal":null}', b"null")

    def token(self, token: str) -> bytes:
        """One token's event."""
        return self._event(b'{"content":' + _quoted(token) + b"}", b"null")

    def end(self, finish_reason: str, usage: Usage) -> bytes:
        """The last events: finish reason, usage if it was asked for, `[DONE]`."""
        events = self._event(b"{}", b'"' + finish_reason.encode() + b'"')
        if self._include_usage:
            events += self._head + b'"choices":[],"usage":' + encode(usage.chat()) + b"}\n\n"
        return events + b"data: [DONE]\n\n"

    def _event(self, delta: bytes, finish_reason: bytes) -> bytes:
        choice = b'"choices":[{"index":0,"delta":' + delta + b',"logprobs":null,"finish_reason":' + finish_reason + b"}]"
        return self._head + choice + self._tail


@lru_cache(maxsize=16_384)
def _quoted(token: str) -> bytes:
    return encode(token)


def embeddings(vectors: Sequence[Vector], model: str, usage: Usage, *, as_base64: bool) -> bytes:
    """The answer of `POST /v1/embeddings`: lists of numbers, or base64 of little-endian float32."""
    data = [{"object": "embedding", "index": i, "embedding": _vector(vector, as_base64=as_base64)} for i, vector in enumerate(vectors)]
    return encode({"object": "list", "data": data, "model": model, "usage": usage.embedding()})


def _vector(vector: Vector, *, as_base64: bool) -> str | list[float]:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode() if as_base64 else vector.tolist()
