"""What an environment says: what runs, where its parts are, how long each waits for the next, and how a version gets there."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from harness.deploy.plan import Strategy
from harness.scenario.fields import Model, PositiveDuration
from harness.scenario.system import StackSpec

Pool = Annotated[int, Field(ge=1, le=10_000)]


def _reference(text: str) -> str:
    scheme, colon, rest = text.partition(":")
    if not colon or scheme not in ("env", "file") or not rest:
        raise ValueError("a secret is never written here; write where it is: env:NAME or file:/run/secrets/name")
    return text


SecretReference = Annotated[str, AfterValidator(_reference)]


class Pools(Model):
    """Connections to the database: what each service holds, by replica, and what the server admits."""

    max_connections: Pool
    reserved: Annotated[int, Field(ge=0, le=100)] = Field(default=3, description="for superusers, as in PostgreSQL")
    services: dict[str, Pool] = Field(min_length=1)


class Embedding(Model):
    """The model that makes vectors."""

    model: str
    dimension: Annotated[int, Field(ge=1, le=65_536)]
    distance: Literal["cosine", "dot", "euclid"] = "cosine"


class Collection(Model):
    """Where they are kept. Made with one dimension and one distance, for ever."""

    name: str
    dimension: Annotated[int, Field(ge=1, le=65_536)]
    distance: Literal["cosine", "dot", "euclid"] = "cosine"


class Recovery(Model):
    """What a backup must give: how much may be lost (RPO), and how long it may take to serve again (RTO)."""

    rpo: PositiveDuration
    rto: PositiveDuration


class Environment(Model):
    """All layers together."""

    strategy: Strategy
    deploy: str | None = Field(default=None, description="the deploy file, from the folder of the environments")
    stack: StackSpec = Field(default_factory=StackSpec)
    urls: dict[str, str] = Field(default_factory=dict, description="where parts that are not deployed are: by name")
    timeouts: dict[str, PositiveDuration] = Field(default_factory=dict, description="how long a caller waits: `gateway->query: 25s`")
    pools: Pools | None = None
    embedding: Embedding | None = None
    collection: Collection | None = None
    settings: dict[str, dict[str, str]] = Field(default_factory=dict, description="variables by service")
    secrets: dict[str, dict[str, SecretReference]] = Field(default_factory=dict, description="variables by service, by reference")
    recovery: Recovery | None = None

    @property
    def canonical(self) -> dict[str, Any]:
        """What its id is made of: everything but the values of secrets, which are not here at all."""
        return self.model_dump(mode="json", exclude_none=True)

    @property
    def config_id(self) -> str:
        """Twelve hexadecimal digits (SHA-256 of the canonical form as JSON with sorted keys): equal for equal configurations alone."""
        text = json.dumps(self.canonical, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:12]
