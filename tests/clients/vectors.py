"""Mock vector services as processes, with a profile and the admin API's address."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mocks.rag.vectorstore.base import VectorStoreName
from tests.integration.backends import free_port
from tests.integration.services import ServiceProcess
from tests.integration.vector_stores import ADMIN_TOKEN


class Vectors(ServiceProcess):
    """A mock vector service that keeps nothing; started by the constructor."""

    def __init__(self, product: VectorStoreName, folder: Path, profile: Mapping[str, Any] | None = None) -> None:
        self._admin_port = free_port()
        environment = {"VECTOR_PROFILE": json.dumps(profile or {}), "ADMIN_PORT": str(self._admin_port), "ADMIN_TOKEN": ADMIN_TOKEN}
        super().__init__("vector", environment, folder / "vector.log", ("mocks.vector", product))
        self.start()

    @property
    def asked(self) -> dict[str, Any]:
        """What scripts are told: where to call, and where to ask for faults."""
        return {
            "host": "127.0.0.1",
            "port": self.port,
            "url": self.url,
            "admin": f"http://127.0.0.1:{self._admin_port}/admin",
            "token": ADMIN_TOKEN,
        }

    def journal(self) -> list[dict[str, Any]]:
        """The requests that are over, oldest first."""
        headers = {"authorization": f"Bearer {ADMIN_TOKEN}"}
        found = self.http.get(f"{self.asked['admin']}/journal", params={"limit": 1_000}, headers=headers).json()
        rows: list[dict[str, Any]] = found["requests"]
        return rows
