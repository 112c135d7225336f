"""Pydantic model of `stack:`: which system is loaded and broken."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from harness.scenario import services as of_services
from harness.scenario.fields import Model
from harness.scenario.services import ClusterSpec, ComposeService, Service, ServiceUrl, SwarmNode

Driver = Literal["processes", "containers", "swarm", "kubernetes"]
VectorStoreName = Literal["pgvector", "qdrant", "chroma"]
NodeName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=40)]


class StackSpec(Model):
    """Which system is loaded and broken."""

    use: Literal["reference", "external", "compose"] = "reference"
    driver: Driver = Field(default="processes", description="what runs the reference stack's services")
    nodes: dict[NodeName, SwarmNode] = Field(
        default_factory=dict, description="of driver swarm: engines by name; the first keeps the data, and whatever there is one of"
    )
    replicas: dict[str, Annotated[int, Field(ge=1, le=8)]] = Field(default_factory=dict)
    documents: Annotated[int, Field(ge=20, le=5000)] = 400
    corpus: str | None = Field(default=None, description="folder of .txt and .md files; default: the standard library's docstrings")
    vector_store: VectorStoreName = Field(default="pgvector", description="where the reference stack keeps its vectors")
    tls: bool = Field(default=False, description="whether users come in over TLS, which nginx ends as service `ingress`")
    file: str | None = Field(default=None, description="the compose file of a compose stack, from the working directory")
    llm: bool = Field(default=False, description="whether a mock LLM runs beside a compose stack, as its service `llm`")
    services: dict[str, Service] = Field(default_factory=dict)
    cluster: ClusterSpec | None = Field(default=None, description="where and with which images the driver `kubernetes` works")
    edges: list[tuple[str, str]] = Field(default_factory=list, description="caller, callee; for external and compose stacks")
    allow_hosts: list[str] = Field(
        default_factory=list, description="hosts other than this machine that load and faults may reach; everything else is refused"
    )

    @field_validator("services", mode="before")
    @classmethod
    def _as_the_stack_has_them(cls, services: Any, known: ValidationInfo) -> Any:
        return of_services.marked(services, known.data.get("use"))

    @property
    def by_url(self) -> dict[str, ServiceUrl]:
        """Services of an external stack."""
        return {name: service for name, service in self.services.items() if isinstance(service, ServiceUrl)}

    @property
    def composed(self) -> dict[str, ComposeService]:
        """Services of a compose stack."""
        return {name: service for name, service in self.services.items() if isinstance(service, ComposeService)}
