"""The reference stack as data: its services, who calls whom, and what each needs from its environment (docs/reference-stack.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["http", "postgres", "redis", "llm"]
Variable = Literal["DATABASE_URL", "REDIS_URL", "KEYS_FILE", "JWT_SECRET", "SPOOL_DIR", "LLM_API_KEY"]

MIGRATION = "migration"
"""The start step that fills the database."""


@dataclass(frozen=True, slots=True)
class Service:
    """One service. `after` are the start steps it must wait for; `single` ones cannot be replicated; users notice a `critical` one."""

    name: str
    kind: Kind = "http"
    module: str = ""  # what `python -m` runs; empty for the engines
    replicas: int = 1
    single: bool = False
    critical: bool = True
    variables: tuple[Variable, ...] = ()
    after: tuple[str, ...] = ()


SERVICES: Mapping[str, Service] = {
    service.name: service
    for service in (
        Service("postgres", "postgres", single=True),
        Service("cache", "redis", single=True, critical=False),
        Service("llm", "llm", "mocks.llm", single=True),
        Service("llm_fallback", "llm", "mocks.llm", single=True, critical=False),
        Service("retrieval", module="mocks.rag.retrieval", replicas=2, variables=("DATABASE_URL", "REDIS_URL"), after=(MIGRATION, "cache")),
        Service(
            "document",
            module="mocks.rag.document",
            critical=False,
            variables=("DATABASE_URL", "REDIS_URL", "SPOOL_DIR"),
            after=(MIGRATION, "cache"),
        ),
        Service("user", module="mocks.rag.user", critical=False, variables=("DATABASE_URL", "KEYS_FILE"), after=(MIGRATION,)),
        Service("embedding", module="mocks.rag.embedding", variables=("LLM_API_KEY",), after=("llm", "llm_fallback")),
        Service("generation", module="mocks.rag.generation", replicas=2, variables=("LLM_API_KEY",), after=("llm", "llm_fallback")),
        Service("query", module="mocks.rag.query"),
        Service("gateway", module="mocks.rag.gateway", single=True, variables=("REDIS_URL", "KEYS_FILE", "JWT_SECRET"), after=("cache",)),
    )
}
"""In the order in which they are started where nothing else decides: what others wait for, first."""

EDGES: tuple[tuple[str, str], ...] = (
    ("gateway", "query"),
    ("gateway", "document"),
    ("gateway", "user"),
    ("gateway", "cache"),
    ("query", "embedding"),
    ("query", "retrieval"),
    ("query", "generation"),
    ("document", "embedding"),
    ("document", "postgres"),
    ("document", "cache"),
    ("retrieval", "postgres"),
    ("retrieval", "cache"),
    ("user", "postgres"),
    ("embedding", "llm"),
    ("embedding", "llm_fallback"),
    ("generation", "llm"),
    ("generation", "llm_fallback"),
)
"""(caller, callee)."""

PROXYABLE_CALLEES = frozenset({"postgres", "cache", "llm", "llm_fallback"})
"""One address each, handed to the caller when it starts. The others are found and balanced through service discovery."""

PROVIDERS = ("llm", "llm_fallback")  # the preferred one first
CHAT_MODEL = "rag-chat"  # what the stack asks either provider for
SNAPSHOTS = {"llm": "rag-chat-large-2026-05-01", "llm_fallback": "rag-chat-small-2026-05-01"}  # what each answers as
MOST_REPLICAS = 8


def instance_name(service: str, number: int) -> str:
    """`retrieval-2`; numbers start at 1."""
    return f"{service}-{number}"


def declared_replicas(asked: Mapping[str, int]) -> dict[str, int]:
    """Replicas of every service. Raises ValueError for an unknown service or a number it cannot have."""
    for name, count in asked.items():
        check_replicas(name, count)
    return {name: asked.get(name, service.replicas) for name, service in SERVICES.items()}


def check_replicas(name: str, count: int) -> None:
    """Raises ValueError that says what the service can have."""
    service = SERVICES.get(name)
    if service is None:
        raise ValueError(f"no service {name!r}; there are {', '.join(SERVICES)}")
    if service.single and count != 1:
        raise ValueError(f"{name} cannot be replicated: it runs exactly once")
    if not 1 <= count <= MOST_REPLICAS:
        raise ValueError(f"{name} can have 1 to {MOST_REPLICAS} replicas, not {count}")
