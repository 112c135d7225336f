"""Where the services of a project are reached from this machine, and how they are asked whether they are ready."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any
from urllib.parse import quote

from harness.scenario.services import ComposeService
from harness.stack import http_probe, postgres, valkey
from harness.stack.compose.project import unescaped
from harness.stack.ports import LOOPBACK


def url_of(mapped: ComposeService, service: Mapping[str, Any], port: int) -> str:
    """With the credentials that the service was started with, by the variables that images of its kind commonly read."""
    environment = {name: unescaped(value) for name, value in (service.get("environment") or {}).items() if value is not None}
    place = f"{LOOPBACK}:{port}"
    match mapped.role:
        case "postgres":
            user = environment.get("POSTGRES_USER") or "postgres"
            database = environment.get("POSTGRES_DB") or user
            password = environment.get("POSTGRES_PASSWORD", "")
            return f"postgresql://{quote(user, safe='')}{_secret(password)}@{place}/{quote(database, safe='')}"
        case "redis":
            password = _required(service.get("command") or []) or environment.get("REDIS_PASSWORD", "")
            return f"redis://{f'{_secret(password)}@' if password else ''}{place}/0"
    return f"http://{place}"


def probe(mapped: ComposeService, url: str) -> str | None:
    """None when it is ready, else the reason; takes about a second at most."""
    if mapped.role == "postgres":
        return postgres.probe(url)
    if mapped.role == "redis":
        return valkey.probe(url)
    return http_probe.answers(f"{url}{mapped.health}") if mapped.health is not None else http_probe.reachable(url)


def observed(mapped: ComposeService, url: str = "") -> dict[str, Any]:
    """What an operator may know of it. `metrics` is left out where it is the usual path, so that each instance is scraped at its own."""
    health, metrics = (f"{url}{path}" if path is not None else None for path in (mapped.health, mapped.metrics))
    return {"kind": mapped.role, "critical": True, "health": health} | ({} if mapped.metrics == "/metrics" else {"metrics": metrics})


def _secret(password: str) -> str:
    return f":{quote(password, safe='')}" if password else ""


def _required(command: list[str]) -> str:
    """What `redis-server --requirepass …` wants."""
    for word, following in pairwise(command):
        if word == "--requirepass":
            return unescaped(following)
    return ""
