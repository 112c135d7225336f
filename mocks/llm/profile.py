"""What the mock serves and how fast: its profile, and its place in the world."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self


class ProfileError(ValueError):
    """A setting is missing or cannot be used; the text names it."""


@dataclass(frozen=True)
class Profile:
    """`LLM_PROFILE`: a JSON object with any of these keys.

    `ttft_ms` until the first token, `itl_ms` between two; a stream's first event holds one token, each further one up to
    `tokens_per_chunk`, sent when the last of them is due; `snapshots` maps a model to the dated name that answers
    carry, as providers do (`gpt-4o` answers as `gpt-4o-2024-08-06`); `api_keys` empty means that none is asked for; `seed` decides,
    together with the request, everything that is drawn.
    """

    models: tuple[str, ...] = ("rag-chat", "rag-embedding")
    snapshots: Mapping[str, str] = field(default_factory=dict)
    ttft_ms: float = 120.0
    itl_ms: float = 8.0
    tokens_per_chunk: int = 1
    api_keys: tuple[str, ...] = ()
    seed: int = 0
    embedding_dimensions: int = 384

    def named(self, model: str) -> str:
        """The name under which answers of a model go out."""
        return self.snapshots.get(model, model)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a profile. Raises ProfileError."""
        try:
            document = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise ProfileError(f"cannot read the profile {path}: {error}") from error
        if not isinstance(document, dict):
            raise ProfileError(f"the profile {path} must be a JSON object")
        return cls.parse(document)

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """A profile from its JSON object. Raises ProfileError for an unknown key or a value out of range."""
        unknown = sorted(set(document) - {field.name for field in fields(cls)})
        if unknown:
            raise ProfileError(f"unknown key in the profile: {', '.join(unknown)}")
        values = dict(document)
        for key in ("models", "api_keys"):
            if key in values:
                values[key] = _texts(key, values[key])
        if not _is_text_map(values.get("snapshots", {})):
            raise ProfileError(f"snapshots must map model names to the names that answers carry, not {values['snapshots']!r}")
        for key in ("ttft_ms", "itl_ms"):
            if key in values and not _is_number(values[key], 0.0, 600_000.0):
                raise ProfileError(f"{key} must be a number of milliseconds from 0 to 600000, not {values[key]!r}")
        if "seed" in values and not _is_whole(values["seed"]):
            raise ProfileError(f"seed must be a whole number, not {values['seed']!r}")
        for key, most in (("embedding_dimensions", 16_384), ("tokens_per_chunk", 1_024)):
            if key in values and not (_is_whole(values[key]) and 1 <= values[key] <= most):
                raise ProfileError(f"{key} must be a whole number from 1 to {most}, not {values[key]!r}")
        profile = cls(**values)
        if not profile.models:
            raise ProfileError("models must name at least one model")
        return profile


@dataclass(frozen=True)
class Settings:
    """Where this process listens and what it calls itself. Ports may be 0: the system then chooses one."""

    host: str
    port: int
    instance: str
    version: str
    log_requests: bool
    admin_port: int | None
    admin_token: str

    @property
    def service(self) -> str:
        """The service that this process is an instance of: `llm` or `llm_fallback`."""
        return self.instance.rpartition("-")[0] or self.instance

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        """Read `HOST`, `PORT`, `INSTANCE`, `VERSION`, `LOG_LEVEL`, `ADMIN_PORT`, `ADMIN_TOKEN`. Raises ProfileError."""
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
        )


def profile_from_env(env: Mapping[str, str] = os.environ) -> Profile:
    """The profile that `LLM_PROFILE` names, the default one without it. Raises ProfileError."""
    path = env.get("LLM_PROFILE")
    return Profile.load(Path(path)) if path else Profile()


def _port(env: Mapping[str, str], name: str) -> int:
    value = env.get(name, "")
    if not value.isdecimal() or int(value) > 65_535:
        raise ProfileError(f"{name} must be a port number from 0 to 65535, not {value!r}")
    return int(value)


def _texts(key: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise ProfileError(f"{key} must be a list of strings, not {value!r}")
    return tuple(value)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_text_map(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(part, str) for pair in value.items() for part in pair)


def _is_number(value: object, low: float, high: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high
