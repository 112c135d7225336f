"""The three services behind a question: embedding, retrieval, generation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from mocks.rag.common.client import ServiceClient, StreamedResponse
from mocks.rag.common.errors import NO_RETRY_HEADER, ApiError, UpstreamError
from mocks.rag.common.registry import Registry

EMBEDDING_TIMEOUT_S = 2.0
RETRIEVAL_TIMEOUT_S = 4.0
"""Above what retrieval itself allows its database, so that its own, better answer (stale, or 503) comes first."""
GENERATION_TIMEOUT_S = 21.0
"""Room for two attempts of 10 s at the providers."""


@dataclass(frozen=True)
class Retrieved:
    """What retrieval found: `results` as in the contract, best first."""

    results: list[dict[str, Any]]
    degraded_reasons: list[str]

    def sources(self, *, with_text: bool = False) -> list[dict[str, Any]]:
        """As a client sees them."""
        keys = ("doc_id", "chunk_id", "score", "text") if with_text else ("doc_id", "chunk_id", "score")
        return [{key: result[key] for key in keys} for result in self.results]

    def contexts(self) -> list[dict[str, str]]:
        """As generation wants them."""
        return [{"doc_id": result["doc_id"], "text": result["text"]} for result in self.results]


class Upstream:
    """Clients with the time limits and attempts of this service."""

    def __init__(self, registry: Registry) -> None:
        self._embedding = ServiceClient("embedding", registry, timeout_s=EMBEDDING_TIMEOUT_S, attempts=2)
        self._retrieval = ServiceClient("retrieval", registry, timeout_s=RETRIEVAL_TIMEOUT_S, attempts=2)
        self._generation = ServiceClient("generation", registry, timeout_s=GENERATION_TIMEOUT_S, attempts=2)

    async def embed(self, text: str) -> list[float] | None:
        """The vector, or None where the embedding service, or what is behind it, gives none."""
        try:
            response = await self._embedding.request("POST", "/embed", json={"texts": [text]}, idempotent=True)
        except UpstreamError:
            return None
        if response.status_code != 200:
            return None
        vector: list[float] = response.json()["embeddings"][0]
        return vector

    async def retrieve(self, text: str, embedding: Sequence[float] | None, top_k: int) -> Retrieved:
        """By vector, or by words without one. Raises ApiError."""
        body = {"text": text, "embedding": embedding, "top_k": top_k}
        response = await self._retrieval.request("POST", "/retrieve", json=body, idempotent=True)
        if response.status_code != 200:
            raise passed_on("retrieval", response.status_code, response.content, response.headers)
        found = response.json()
        return Retrieved(found["results"], found["degraded_reasons"])

    async def generate(self, question: str, contexts: Sequence[dict[str, str]]) -> dict[str, Any]:
        """The whole answer. Raises ApiError."""
        body = {"question": question, "contexts": list(contexts), "stream": False}
        response = await self._generation.request("POST", "/generate", json=body)
        if response.status_code != 200:
            raise passed_on("generation", response.status_code, response.content, response.headers)
        answer: dict[str, Any] = response.json()
        return answer

    def generate_stream(self, question: str, contexts: Sequence[dict[str, str]]) -> AbstractAsyncContextManager[StreamedResponse]:
        """The answer as it comes. Entering raises UpstreamError; a status other than 200 is the caller's to see."""
        body = {"question": question, "contexts": list(contexts), "stream": True}
        return self._generation.stream("POST", "/generate", json=body)

    async def close(self) -> None:
        """Closes all connections."""
        for client in (self._embedding, self._retrieval, self._generation):
            await client.close()


def passed_on(callee: str, status: int, body: bytes, headers: Mapping[str, str]) -> ApiError:
    """A callee's refusal as this service's own: same status, code and `Retry-After`; retries were spent here already."""
    answer_headers = {NO_RETRY_HEADER: "false"}
    if "retry-after" in headers:
        answer_headers["retry-after"] = headers["retry-after"]
    code, message = _error(body)
    return ApiError(status, code or f"{callee}_error", f"{callee}: {message or f'status {status}'}", answer_headers)


def _error(body: bytes) -> tuple[str, str]:
    """Code and message of an error body, empty where it holds none."""
    try:
        error = json.loads(body)["error"]
        return str(error["code"]), str(error["message"])
    except (ValueError, KeyError, TypeError):
        return "", ""
