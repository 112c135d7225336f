"""Secrets of one run: made fresh, never seeded, never in the record."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CLIENT = "load"
VISITOR = "visitor"
UNLIMITED: Mapping[str, int] = {"burst_per_s": 0, "per_minute": 0, "per_hour": 0}
"""Of the load's own plan: a rate limit that the load meets would be measured as a failure of the stack."""
STANDARD: Mapping[str, int] = {"burst_per_s": 10, "per_minute": 120, "per_hour": 2_000}


@dataclass(frozen=True, slots=True)
class Credentials:
    """`api_key` is the load's, and `limited_key` a visitor's, whose plan has limits; the gateway's file holds only their hashes."""

    api_key: str
    limited_key: str
    jwt_secret: str
    provider_key: str
    admin_token: str

    @classmethod
    def fresh(cls, api_key: str | None = None) -> Credentials:
        """All new; but that key, where one is given."""
        return cls(
            api_key=api_key or f"rk-{secrets.token_urlsafe(24)}",
            limited_key=f"rk-{secrets.token_urlsafe(24)}",
            jwt_secret=secrets.token_urlsafe(48),
            provider_key=f"sk-{secrets.token_urlsafe(24)}",
            admin_token=secrets.token_urlsafe(24),
        )

    def write_keys_file(self, path: Path) -> None:
        """`KEYS_FILE` of the gateway and the user service, readable by its owner alone."""
        write_private(path, self.keys())

    def keys(self) -> dict[str, Any]:
        """What that file holds."""
        keys = [
            _key("key-1", self.api_key, CLIENT, ["reader", "writer", "admin"], "internal"),
            _key("key-2", self.limited_key, VISITOR, ["reader"], "standard"),
        ]
        return {"keys": keys, "plans": {"internal": dict(UNLIMITED), "standard": dict(STANDARD)}}


def _key(name: str, key: str, client: str, roles: list[str], plan: str) -> dict[str, Any]:
    return {"id": name, "sha256": hashlib.sha256(key.encode()).hexdigest(), "client": client, "roles": roles, "plan": plan}


def write_private(path: Path, document: Mapping[str, Any]) -> None:
    """Write JSON that no other user may read. Raises FileExistsError."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        json.dump(document, file)
