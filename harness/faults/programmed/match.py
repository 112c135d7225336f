"""Whom a mock's fault concerns: what each kind of mock can tell of a request."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from harness.scenario.catalog import FaultParameters

_One = BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)
Names = Annotated[tuple[str, ...], _One, Field(min_length=1)]


class Match(FaultParameters):
    """Base of what each kind of mock can tell apart. A text stands for a list of one."""

    def document(self) -> dict[str, Any]:
        """As the mock wants it."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in self if value is not None}


LlmRoute = Literal["/v1/chat/completions", "/v1/embeddings", "/v1/messages", "/v1/models", "/v1/responses"]
Operation = Literal[
    "query", "get", "count", "upsert", "update", "delete", "collection_create", "collection_delete", "collection_update", "collection_get",
    "collection_list", "probe",
]  # fmt: skip


class LlmMatch(Match):
    """Requests to a provider."""

    routes: Annotated[tuple[LlmRoute, ...], _One, Field(min_length=1)] | None = None
    models: Names | None = None
    accounts: Names | None = Field(default=None, description="names of accounts, by the key that is sent")
    organizations: Names | None = None
    tenants: Names | None = Field(default=None, description="whom the caller says it asks for")
    dialects: Annotated[tuple[Literal["openai", "azure", "anthropic"], ...], _One, Field(min_length=1)] | None = None
    stream: bool | None = None
    prompt: str | None = Field(default=None, min_length=1, description="text in the prompt")


class VectorMatch(Match):
    """Requests to a vector store."""

    operations: Annotated[tuple[Operation, ...], _One, Field(min_length=1)] | None = None
    kinds: Annotated[tuple[Literal["read", "write", "probe"], ...], _One, Field(min_length=1)] | None = None
    products: Annotated[tuple[Literal["qdrant", "chroma"], ...], _One, Field(min_length=1)] | None = None
    routes: Names | None = Field(default=None, description="paths, their variable segments named: `/collections/{name}/points`")
    collections: Names | None = None
    accounts: Names | None = None
    tenants: Names | None = None
