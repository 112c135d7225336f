"""The embedding service: text in, vectors out, from whichever provider answers; vectors already seen come from memory.

Both providers serve the same model, so a vector is as good from one as from the other and no answer of this service is degraded.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mocks.rag.common.app import json_object, run_service
from mocks.rag.common.breaker import CircuitBreaker
from mocks.rag.common.client import ServiceClient
from mocks.rag.common.config import ServiceConfig
from mocks.rag.common.errors import ApiError, UpstreamError
from mocks.rag.common.lru import LruCache
from mocks.rag.common.outbound import status_outcome
from mocks.rag.common.providers import provider_app
from mocks.rag.common.registry import PROVIDERS, Registry

DEFAULT_MODEL = "rag-embedding"
PROVIDER_TIMEOUT_S = 1.5
"""A vector takes milliseconds; with this limit the second provider still answers within the caller's patience of 2 s."""
PROVIDER_ATTEMPTS = 2
TEXTS_MAX = 256
TEXT_CHARS_MAX = 32_000
CACHE_ENTRIES = 4_096
CACHE_TTL_S = 3_600.0

EncodedVector = bytes
"""A vector as the JSON array that goes into an answer."""


class Embedder:
    """Vectors of texts, each kept as the JSON that it is sent as: encoding 384 numbers costs more than all else here."""

    def __init__(self, clients: Sequence[ServiceClient], cache: LruCache[str, EncodedVector], model: str, api_key: str | None) -> None:
        self._clients = clients
        self._cache = cache
        self._headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self.model = model

    async def embed(self, texts: Sequence[str]) -> list[EncodedVector]:
        """The vectors in the order of `texts`. Raises UpstreamError when no provider answers."""
        unique = list(dict.fromkeys(texts))
        known = {text: vector for text in unique if (vector := self._cache.get(text)) is not None}
        missing = [text for text in unique if text not in known]
        if missing:
            fresh = dict(zip(missing, await self._ask(missing), strict=True))
            for text, vector in fresh.items():
                self._cache.put(text, vector)
            known |= fresh
        return [known[text] for text in texts]

    async def _ask(self, texts: list[str]) -> list[EncodedVector]:
        error: UpstreamError | None = None
        for client in self._clients:
            try:
                return await self._ask_provider(client, texts)
            except UpstreamError as failure:
                error = failure
        raise error or UpstreamError(PROVIDERS[0], "connect_error", "no provider")

    async def _ask_provider(self, client: ServiceClient, texts: list[str]) -> list[EncodedVector]:
        body = {"model": self.model, "input": texts, "encoding_format": "base64"}
        response = await client.request("POST", "/v1/embeddings", json=body, headers=self._headers, idempotent=True)
        if response.status_code != 200:
            status = response.status_code
            raise UpstreamError(client.callee, status_outcome(status) if status >= 400 else "error", f"status {status}")
        try:
            return decode_embeddings(response.json(), len(texts))
        except ValueError as error:
            raise UpstreamError(client.callee, "error", f"unusable answer: {error}") from error


def decode_embeddings(answer: Any, count: int) -> list[EncodedVector]:
    """The vectors of an embeddings answer by their `index`, as JSON arrays.

    Raises ValueError unless there are exactly `count`, of one dimension, of finite numbers.
    """
    try:
        vectors = {item["index"]: np.frombuffer(base64.b64decode(item["embedding"], validate=True), dtype="<f4") for item in answer["data"]}
    except (KeyError, TypeError, binascii.Error) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
    if sorted(vectors) != list(range(count)) or len(answer["data"]) != count:
        raise ValueError(f"{len(answer['data'])} vectors for {count} texts")
    matrix = [vectors[index] for index in range(count)]
    if len({vector.size for vector in matrix}) != 1 or not all(np.isfinite(vector).all() for vector in matrix):
        raise ValueError("vectors of different dimensions, or of numbers that are not finite")
    return [encode_vector(vector.tolist()) for vector in matrix]


def encode_vector(values: Sequence[float]) -> EncodedVector:
    """A JSON array; nine digits bring every float32 back exactly."""
    return ("[" + ",".join([f"{value:.9g}" for value in values]) + "]").encode()


def parse_texts(body: Mapping[str, Any]) -> list[str]:
    """The `texts` of a request. Raises ApiError 422."""
    texts = body.get("texts")
    if not isinstance(texts, list) or not 1 <= len(texts) <= TEXTS_MAX:
        raise ApiError(422, "invalid_request", f"texts must be a list of 1 to {TEXTS_MAX} strings")
    if not all(isinstance(text, str) and 0 < len(text) <= TEXT_CHARS_MAX for text in texts):
        raise ApiError(422, "invalid_request", f"each of texts must be a string of 1 to {TEXT_CHARS_MAX} characters")
    return texts


def build(config: ServiceConfig, env: Mapping[str, str] = os.environ) -> Starlette:
    """The application; `LLM_API_KEY` and `EMBEDDING_MODEL` come from `env`."""
    registry = Registry(config.registry_file, config.service)
    clients = [_client(provider, registry) for provider in PROVIDERS]
    cache: LruCache[str, EncodedVector] = LruCache("embedding", max_entries=CACHE_ENTRIES, ttl_s=CACHE_TTL_S, registry=registry)
    embedder = Embedder(clients, cache, env.get("EMBEDDING_MODEL") or DEFAULT_MODEL, env.get("LLM_API_KEY"))
    tail = f'],"model":{json.dumps(embedder.model)}}}'.encode()

    async def embed(request: Request) -> Response:
        vectors = await embedder.embed(parse_texts(await json_object(request)))
        return Response(b'{"embeddings":[' + b",".join(vectors) + tail, media_type="application/json")

    return provider_app(config, [Route("/embed", embed, methods=["POST"])], registry, clients)


def _client(provider: str, registry: Registry) -> ServiceClient:
    breaker = CircuitBreaker(provider)
    return ServiceClient(provider, registry, timeout_s=PROVIDER_TIMEOUT_S, attempts=PROVIDER_ATTEMPTS, breaker=breaker)


if __name__ == "__main__":
    run_service("embedding", build)
