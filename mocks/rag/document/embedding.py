"""Vectors from the embedding service, and which of its failures are worth waiting out."""

from __future__ import annotations

from collections.abc import Sequence

from mocks.rag.common.client import ServiceClient
from mocks.rag.common.errors import UpstreamError

TEXTS_PER_REQUEST = 64
_UNAVAILABLE = frozenset({429, 502, 503, 504})


class EmbeddingUnavailableError(Exception):
    """The service, or what is behind it, is down or slow: the document is not to blame, and later it may work."""


class EmbeddingRefusedError(Exception):
    """The service answered and would not embed these texts."""


class Embedder:
    """Texts → vectors over `POST /embed`."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector a text. Raises `EmbeddingUnavailableError`, `EmbeddingRefusedError`."""
        vectors: list[list[float]] = []
        for start in range(0, len(texts), TEXTS_PER_REQUEST):
            vectors += await self._batch(texts[start : start + TEXTS_PER_REQUEST])
        return vectors

    async def _batch(self, texts: Sequence[str]) -> list[list[float]]:
        try:
            response = await self._client.request("POST", "/embed", json={"texts": list(texts)}, idempotent=True)
        except UpstreamError as error:
            raise EmbeddingUnavailableError(str(error)) from error
        if response.status_code in _UNAVAILABLE:
            raise EmbeddingUnavailableError(f"status {response.status_code}")
        if response.status_code != 200:
            raise EmbeddingRefusedError(f"status {response.status_code}: {response.text[:200]}")
        vectors: list[list[float]] = response.json()["embeddings"]
        if len(vectors) != len(texts):
            raise EmbeddingRefusedError(f"{len(vectors)} vectors for {len(texts)} texts")
        return vectors
