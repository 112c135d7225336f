"""What may be chosen about a deployment of the reference stack on Kubernetes, and how its objects are called."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.scenario.model import VectorStoreName
from harness.stack.containers.launch import ADMIN_PORT, ENGINES, HTTP_PORT
from harness.stack.options import DEFAULT_VERSION
from harness.stack.topology import Topology, topology
from harness.sweep_containers import RUN_LABEL

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")  # RFC 1123
Manifest = dict[str, Any]
"""One object of the API, as JSON."""

APP = "app.kubernetes.io/name"
PART_OF = "app.kubernetes.io/part-of"
VERSION = "app.kubernetes.io/version"
RESTARTED = "kubectl.kubernetes.io/restartedAt"
SECRET = "rag-secrets"
CONFIG = "rag-config"
CONTAINER = "main"
ENGINE_IMAGES = {name: engine.image for name, engine in ENGINES.items()}
PORT_NAME, ADMIN_PORT_NAME = "main", "admin"


@dataclass(frozen=True, slots=True)
class Release:
    """One deployment. `images` is how nodes call an image of `gauntlet images build`, `{image}` standing for its name.

    `run_id` None: by hand, for good, with autoscalers and with the job that makes the data. Else it is a run's, which makes the data
    itself, lets nobody but an operator scale, and can reach the admin APIs of the mocks.
    """

    namespace: str = "rag"
    images: str = "rag-gauntlet/{image}:latest"
    replicas: Mapping[str, int] = field(default_factory=dict)
    vector_store: VectorStoreName = "pgvector"
    version: str = DEFAULT_VERSION
    run_id: str | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for a name that is none, an image reference without a place for its name, impossible replicas."""
        if not _LABEL.fullmatch(self.namespace):
            raise ValueError(f"{self.namespace!r} is no name of a namespace: at most 63 lower-case letters, digits and hyphens")
        if "{image}" not in self.images:
            raise ValueError(
                f"{self.images!r} does not say where the name of an image goes; write, e.g., registry.example/rag/{{image}}:1.0"
            )
        self.topology.declared_replicas(self.replicas)

    @property
    def topology(self) -> Topology:
        return topology(self.vector_store)

    @property
    def by_hand(self) -> bool:
        return self.run_id is None

    @property
    def labels(self) -> dict[str, str]:
        """On every object."""
        return {PART_OF: "rag", **({RUN_LABEL: self.run_id} if self.run_id is not None else {})}

    def image(self, service: str) -> str:
        return self.images.replace("{image}", ENGINE_IMAGES.get(service, "services"))

    def selector(self, service: str) -> dict[str, str]:
        """Labels that the pods of a service have, and no others in the namespace."""
        return {APP: object_name(service), PART_OF: "rag"}

    def metadata(self, name: str, service: str | None = None) -> Manifest:
        labels = {**self.labels, **(self.selector(service) if service is not None else {})}
        return {"name": name, "namespace": self.namespace, "labels": labels}


def object_name(service: str) -> str:
    """Of the objects of a service: a DNS label (RFC 1123), in which there is no underscore."""
    return service.replace("_", "-")


def port_of(service: str) -> int:
    """Where its pods listen."""
    engine = ENGINES.get(service)
    return HTTP_PORT if engine is None else engine.port


def ports_of(release: Release, service: str) -> dict[str, int]:
    """All of its ports by name; the admin API of a mock is there for a run alone."""
    admin = {ADMIN_PORT_NAME: ADMIN_PORT} if not release.by_hand and service in release.topology.programmable else {}
    return {PORT_NAME: port_of(service), **admin}
