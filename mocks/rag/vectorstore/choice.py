"""Which store the deployment has: `VECTOR_STORE`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from mocks.rag.common.breaker import CircuitBreaker
from mocks.rag.common.client import ServiceClient
from mocks.rag.common.config import ConfigError
from mocks.rag.common.registry import Registry
from mocks.rag.vectorstore import chroma, qdrant
from mocks.rag.vectorstore.base import VectorStore, VectorStoreName
from mocks.rag.vectorstore.external import ExternalVectorStore
from mocks.rag.vectorstore.pgvector import PgVectorStore
from mocks.rag.vectorstore.points import CALLEE, PointStore
from mocks.rag.vectorstore.rest import Rest
from mocks.rag.vectorstore.table import Database

ATTEMPTS = 2


def chosen(env: Mapping[str, str]) -> VectorStoreName:
    """By `VECTOR_STORE`; `pgvector` without one. Raises ConfigError."""
    wanted = env.get("VECTOR_STORE") or "pgvector"
    names: tuple[VectorStoreName, ...] = get_args(VectorStoreName)
    for name in names:
        if name == wanted:
            return name
    raise ConfigError(f"VECTOR_STORE must be one of {', '.join(names)}, not {wanted!r}")


def open_store(name: VectorStoreName, database: Database, registry: Registry, *, timeout_s: float) -> VectorStore:
    """The store, on the database that keeps the documents; one of its own is found through service discovery, as `vector`."""
    return (
        PgVectorStore(database) if name == "pgvector" else ExternalVectorStore(open_points(name, registry, timeout_s=timeout_s), database)
    )


def open_points(name: VectorStoreName, registry: Registry, *, timeout_s: float) -> PointStore:
    """The point store behind it; `timeout_s` bounds one attempt at one request. Raises ValueError for pgvector, which has none."""
    client = ServiceClient(CALLEE, registry, timeout_s=timeout_s, attempts=ATTEMPTS, breaker=CircuitBreaker(CALLEE))
    match name:
        case "qdrant":
            return qdrant.QdrantPoints(Rest(client, qdrant.reason))
        case "chroma":
            return chroma.ChromaPoints(Rest(client, chroma.reason))
        case "pgvector":
            raise ValueError("pgvector keeps its vectors in the database")
