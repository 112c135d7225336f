"""Settings that every service reads from its environment (docs/reference-stack.md, "Starting a service")."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self


class ConfigError(ValueError):
    """The environment lacks a setting or holds one that cannot be used; the text names the variable."""


@dataclass(frozen=True)
class ServiceConfig:
    """Who this process is and where it listens."""

    service: str
    instance: str
    version: str
    host: str
    port: int
    registry_file: Path | None
    log_level: str

    @classmethod
    def from_env(cls, service: str) -> Self:
        """Read `HOST`, `PORT`, `INSTANCE`, `VERSION`, `REGISTRY_FILE`, `LOG_LEVEL`. Raises ConfigError."""
        port = required("PORT")
        if not port.isdigit() or not 0 < int(port) < 65536:
            raise ConfigError(f"PORT must be a number from 1 to 65535, not {port!r}")
        registry = os.environ.get("REGISTRY_FILE")
        return cls(
            service=service,
            instance=os.environ.get("INSTANCE") or f"{service}-1",
            version=os.environ.get("VERSION") or "1.0.0",
            host=os.environ.get("HOST") or "127.0.0.1",
            port=int(port),
            registry_file=Path(registry) if registry else None,
            log_level=(os.environ.get("LOG_LEVEL") or "info").lower(),
        )


def required(name: str) -> str:
    """The variable's value. Raises ConfigError when it is missing or empty."""
    value = os.environ.get(name)
    if not value:
        raise ConfigError(f"{name} is not set")
    return value
