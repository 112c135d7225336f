"""A store that keeps nothing but points: a vector with a payload under an id."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from mocks.rag.common.errors import UpstreamError
from mocks.rag.vectorstore.base import Vector

CALLEE = "vector"
COLLECTION = "chunks"
POINTS_PER_REQUEST = 64
"""Half a megabyte of numbers: encoding it holds the event loop up for about ten milliseconds."""

_NAMESPACE = uuid.UUID("5d0c3b0e-6a53-5c0f-9a7c-3f1a5a9b7c11")


class CollectionMissingError(UpstreamError):
    """The store does not have the collection: it was never migrated, or has lost its data."""

    def __init__(self, reason: str) -> None:
        super().__init__(CALLEE, "http_4xx", reason)


class StoreRefusedError(UpstreamError):
    """The store works and will not do this: wrong dimension, bad request, no permission."""

    def __init__(self, reason: str) -> None:
        super().__init__(CALLEE, "http_4xx", reason)


@dataclass(frozen=True, slots=True)
class Point:
    """One chunk of one revision of a document."""

    doc_id: str
    chunk_id: str
    revision: int
    text: str
    vector: Vector

    @property
    def id(self) -> str:
        """Stable: written twice it is one point. A revision has points of its own, so that a late write overwrites nothing newer."""
        return str(uuid.uuid5(_NAMESPACE, f"{self.chunk_id}@{self.revision}"))


class Hit(NamedTuple):
    """What a store answers, before anybody has looked whether it can be used. `score` should be the cosine similarity."""

    payload: Any
    score: Any


class PointStore(Protocol):
    """All methods raise `UpstreamError` of callee `vector`; writes are visible to everybody when they return."""

    async def ensure(self) -> None:
        """Create the collection where there is none. Raises `StoreRefusedError` where there is another one of that name."""

    async def put(self, points: Sequence[Point]) -> None:
        """Write points, in several requests where they are many. Repeating it is harmless."""

    async def remove(self, doc_ids: Sequence[str], *, below: int | None = None, exactly: int | None = None) -> None:
        """Remove the points of documents: all of them, those of revisions below one, or those of exactly one."""

    async def nearest(self, vector: Vector, top_k: int) -> list[Hit]:
        """In the store's own order."""

    async def count(self) -> int:
        """All points of the collection."""

    async def check(self) -> str | None:
        """Readiness: None when the collection is there and fits, else why not."""

    async def close(self) -> None:
        """Close connections."""
