"""Where this process listens and what it calls itself: its environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from mocks.common.checks import ProfileError


@dataclass(frozen=True)
class Settings:
    """Ports may be 0: the system then chooses one. `faults_file` keeps the faults in force over a restart."""

    host: str
    port: int
    instance: str
    version: str
    log_requests: bool
    admin_port: int | None
    admin_token: str
    faults_file: Path | None = None

    @property
    def service(self) -> str:
        """The service that this process is an instance of: `llm` or `llm_fallback`."""
        return self.instance.rpartition("-")[0] or self.instance

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        """Read `HOST`, `PORT`, `INSTANCE`, `VERSION`, `LOG_LEVEL`, `ADMIN_PORT`, `ADMIN_TOKEN`, `FAULTS_FILE`. Raises ProfileError."""
        admin_port = _port(env, "ADMIN_PORT") if env.get("ADMIN_PORT") else None
        token = env.get("ADMIN_TOKEN", "")
        if admin_port is not None and not token:
            raise ProfileError("ADMIN_TOKEN must be set where ADMIN_PORT is: faults are not for everybody")
        return cls(
            host=env.get("HOST") or "127.0.0.1",
            port=_port(env, "PORT"),
            instance=env.get("INSTANCE") or "llm-1",
            version=env.get("VERSION") or "1.0.0",
            log_requests=(env.get("LOG_LEVEL") or "info").lower() in ("debug", "info"),
            admin_port=admin_port,
            admin_token=token,
            faults_file=Path(env["FAULTS_FILE"]) if env.get("FAULTS_FILE") else None,
        )


def _port(env: Mapping[str, str], name: str) -> int:
    value = env.get(name, "")
    if not value.isdecimal() or int(value) > 65_535:
        raise ProfileError(f"{name} must be a port number from 0 to 65535, not {value!r}")
    return int(value)
