"""The reference stack as data: its services, who calls whom, and what each needs from its environment (docs/reference-stack.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from harness.scenario.catalog import Role
from harness.scenario.model import VectorStoreName
from harness.stack.parts import StackError

Variable = Literal["DATABASE_URL", "REDIS_URL", "KEYS_FILE", "JWT_SECRET", "SPOOL_DIR", "LLM_API_KEY", "VECTOR_STORE"]

MIGRATION = "migration"
"""The start step that fills the database, and the vector store where it is another service."""
VECTOR = "vector"
COLLECTION = "chunks"
"""What the services call theirs in a vector store."""
ENTRY = "gateway"
INGRESS = "ingress"
"""What ends TLS in front of the entry, where users come in over it."""


@dataclass(frozen=True, slots=True)
class Service:
    """One service. `after` are the start steps it must wait for; `single` ones cannot be replicated; users notice a `critical` one."""

    name: str
    kind: Role = "http"
    module: str = ""  # what `python -m` runs; empty for the engines
    arguments: tuple[str, ...] = ()
    replicas: int = 1
    single: bool = False
    critical: bool = True
    variables: tuple[Variable, ...] = ()
    after: tuple[str, ...] = ()

    @property
    def in_registry(self) -> bool:
        """Engines are found by their URL, everything else through service discovery."""
        return self.kind in ("http", "llm", "vector")


_SERVICES: Mapping[str, Service] = {
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

_EDGES: tuple[tuple[str, str], ...] = (
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

_VECTOR_CALLERS = ("retrieval", "document")
PROVIDERS = ("llm", "llm_fallback")  # the preferred one first
CHAT_MODEL = "rag-chat"  # what the stack asks either provider for
SNAPSHOTS = {"llm": "rag-chat-large-2026-05-01", "llm_fallback": "rag-chat-small-2026-05-01"}  # what each answers as
CANARIES: Mapping[str, str] = {"embedding": "embedding", "search": "query", "generation": "generation"}
MOST_REPLICAS = 8


def instance_name(service: str, number: int) -> str:
    """`retrieval-2`; numbers start at 1."""
    return f"{service}-{number}"


@dataclass(frozen=True)
class Topology:
    """The services of one deployment of the reference stack, in the order of their start, and its edges (caller, callee)."""

    vector_store: VectorStoreName
    services: Mapping[str, Service]
    edges: tuple[tuple[str, str], ...]

    @property
    def proxyable(self) -> frozenset[tuple[str, str]]:
        """Edges on which a proxy can be put. Engines are found by the address that a caller is started with, others are looked up; what
        ends TLS alone knows its callee by a name in the network.
        """
        return frozenset(edge for edge in self.edges if edge[0] != INGRESS)

    @property
    def programmable(self) -> tuple[str, ...]:
        """The mocks, which have an admin API."""
        return tuple(service.name for service in self.services.values() if service.kind in ("llm", "vector"))

    def targets(self, registry: Path, urls_of: Callable[[str], Sequence[str]]) -> dict[str, Any]:
        """What an operator may know, on any driver: `services` by name, the path of the service `registry`, `static` addresses (of
        `urls_of`) of what is not in it, `edges`, and who takes which of the operator's own questions.
        """
        services = self.services.values()
        return {
            "services": {service.name: _observed(service) for service in services},
            "registry": str(registry),
            "static": {service.name: list(urls_of(service.name)) for service in services if not service.in_registry},
            "edges": [list(edge) for edge in self.edges],
            "canaries": dict(CANARIES),
        }

    def require_all_in_one(self) -> None:
        """Raises StackError where the database holds documents, and not all that is made of them."""
        if VECTOR in self.services:
            raise StackError(f"vectors are kept apart from their documents, in {VECTOR}: pgvector keeps all in one place")

    def declared_replicas(self, asked: Mapping[str, int]) -> dict[str, int]:
        """Replicas of every service. Raises ValueError for an unknown service or a number it cannot have."""
        for name, count in asked.items():
            self.check_replicas(name, count)
        return {name: asked.get(name, service.replicas) for name, service in self.services.items()}

    def check_replicas(self, name: str, count: int) -> None:
        """Raises ValueError that says what the service can have."""
        service = self.services.get(name)
        if service is None:
            raise ValueError(f"no service {name!r}; there are {', '.join(self.services)}")
        if service.single and count != 1:
            raise ValueError(f"{name} cannot be replicated: it runs exactly once")
        if not 1 <= count <= MOST_REPLICAS:
            raise ValueError(f"{name} can have 1 to {MOST_REPLICAS} replicas, not {count}")


def _observed(service: Service) -> dict[str, Any]:
    """What ends TLS is looked at by a handshake: it has no metrics of its own, and those behind it are not for users."""
    return {"kind": service.kind, "critical": service.critical, **({"metrics": None} if service.kind == "tls" else {})}


@cache
def topology(vector_store: VectorStoreName = "pgvector", tls: bool = False) -> Topology:
    """With pgvector PostgreSQL keeps the vectors; else a service `vector` does, which retrieval and document call besides.

    With `tls` a service `ingress` ends TLS in front of the gateway.
    """
    if tls:
        plain = topology(vector_store)
        ingress = Service(INGRESS, "tls", single=True, after=(ENTRY,))
        return Topology(vector_store, {**plain.services, INGRESS: ingress}, ((INGRESS, ENTRY), *plain.edges))
    if vector_store == "pgvector":
        return Topology(vector_store, _SERVICES, _EDGES)
    services: dict[str, Service] = {}
    for name, service in _SERVICES.items():
        services[name] = replace(service, variables=(*service.variables, "VECTOR_STORE")) if name in _VECTOR_CALLERS else service
        if name == "postgres":
            services[VECTOR] = Service(VECTOR, "vector", "mocks.vector", (vector_store,), single=True, critical=service.critical)
    return Topology(vector_store, services, (*_EDGES, *((caller, VECTOR) for caller in _VECTOR_CALLERS)))
