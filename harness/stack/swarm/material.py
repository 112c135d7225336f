"""The folder that a stack is deployed from: the stack file, and beside it the files of its secrets and configs."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import yaml

from harness.stack import postgres, valkey
from harness.stack.credentials import Credentials, write_private
from harness.stack.environment import provider_profile, vector_profile
from harness.stack.options import StackOptions
from harness.stack.swarm.stack_file import STATE_PLACE, Plan, profile_of, registry, stack_file
from harness.stack.topology import VECTOR, Topology

STACK_FILE = "stack.yaml"


@dataclass(frozen=True, slots=True)
class Passwords:
    """Of the engines, whose ports are their node's own: whoever reaches the node reaches them."""

    postgres: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    cache: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    def url(self, engine: str, host: str, port: int) -> str:
        """Where a client connects to."""
        if engine == "postgres":
            return postgres.url(host, port).replace("postgres@", f"postgres:{self.postgres}@", 1)
        return valkey.url(host, port).replace("redis://", f"redis://:{self.cache}@", 1)


def write(folder: Path, topology: Topology, plan: Plan, options: StackOptions, credentials: Credentials, passwords: Passwords) -> Path:
    """Write everything into a new folder; returns the stack file, which holds no secret itself."""
    for name in ("secrets", "configs"):
        (folder / name).mkdir(parents=True)
    folder.joinpath("secrets").chmod(0o700)
    credentials.write_keys_file(folder / "secrets" / "keys")
    for mock in topology.programmable:
        kept_in = PurePosixPath(STATE_PLACE) / "vectors"
        profile = vector_profile(Path(kept_in), options) if mock == VECTOR else provider_profile(mock, options, credentials)
        write_private(folder / "secrets" / profile_of(mock), profile)
    for name, text in _texts(credentials, passwords).items():
        path = folder / "secrets" / name
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
    (folder / "configs" / "registry.json").write_text(json.dumps(registry(topology)), encoding="utf-8")
    file = folder / STACK_FILE
    file.write_text(yaml.safe_dump(stack_file(topology, plan), sort_keys=False), encoding="utf-8")
    return file


def _texts(credentials: Credentials, passwords: Passwords) -> Mapping[str, str]:
    return {
        "admin_token": credentials.admin_token,
        "jwt_secret": credentials.jwt_secret,
        "provider_key": credentials.provider_key,
        "postgres_password": passwords.postgres,
        "valkey_password": passwords.cache,
        "database_url": passwords.url("postgres", "postgres", 5432),
        "redis_url": passwords.url("cache", "cache", 6379),
    }
