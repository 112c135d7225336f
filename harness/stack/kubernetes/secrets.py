"""The secret of a run: credentials of its own, and the files that carry them. None of it is ever in a manifest."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from harness.stack.credentials import Credentials
from harness.stack.environment import VECTOR_LATENCY
from harness.stack.kubernetes.pods import STATE
from harness.stack.kubernetes.release import SECRET, Manifest, Release, port_of
from harness.stack.options import StackOptions
from harness.stack.topology import CHAT_MODEL, PROVIDERS, SNAPSHOTS, VECTOR


@dataclass(frozen=True, slots=True)
class RunSecrets:
    """What a run's services want from one another."""

    credentials: Credentials
    postgres_password: str
    valkey_password: str

    @classmethod
    def fresh(cls) -> Self:
        return cls(Credentials.fresh(), secrets.token_hex(16), secrets.token_hex(16))

    def url(self, engine: str, host: str, port: int) -> str:
        """Where a client of that engine connects to."""
        if engine == "postgres":
            return f"postgresql://postgres:{self.postgres_password}@{host}:{port}/postgres"
        return f"redis://:{self.valkey_password}@{host}:{port}/0"

    def manifest(self, release: Release, options: StackOptions) -> Manifest:
        """The object; Kubernetes encodes it, and pods mount its keys as files."""
        own = self.credentials
        files = {
            "database_url": self.url("postgres", "postgres", port_of("postgres")),
            "redis_url": self.url("cache", "cache", port_of("cache")),
            "postgres_password": self.postgres_password,
            "valkey_password": self.valkey_password,
            "jwt_secret": own.jwt_secret,
            "provider_key": own.provider_key,
            "admin_token": own.admin_token,
            "keys.json": json.dumps(own.keys()),
            **{f"{mock}.json": json.dumps(profile) for mock, profile in self._profiles(release, options).items()},
        }
        return {"apiVersion": "v1", "kind": "Secret", "metadata": release.metadata(SECRET), "type": "Opaque", "stringData": files}

    def _profiles(self, release: Release, options: StackOptions) -> Mapping[str, Mapping[str, Any]]:
        """Of the mocks, as of the other drivers."""
        found: dict[str, Mapping[str, Any]] = {}
        for provider in PROVIDERS:
            timing = options.timing[provider]
            found[provider] = {
                "ttft_ms": timing.ttft_ms,
                "itl_ms": timing.itl_ms,
                "seed": options.seed,
                "snapshots": {CHAT_MODEL: SNAPSHOTS[provider]},
                "api_keys": [self.credentials.provider_key],
            }
        if VECTOR in release.topology.services:
            found[VECTOR] = {"seed": options.seed, "persist_dir": f"{STATE}/vectors", "latency": VECTOR_LATENCY}
        return found
