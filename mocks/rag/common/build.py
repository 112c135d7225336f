"""What a build of a service does wrong: releases are what breaks systems most, so this one can be released badly.

A build is told in its environment what its faults are; a good one has none of these variables. Nothing of it shows in metrics, logs or
answers but what the fault itself does, as in production, where a bad release does not say that it is one.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from starlette.types import ASGIApp, Receive, Scope, Send

from mocks.rag.common.config import ConfigError

LATENCY_MAX_MS = 60_000.0
LEAK_MAX_BYTES = 8 << 20
PROBE_PATHS = frozenset({"/health", "/ready", "/metrics"})


@dataclass(frozen=True)
class Build:
    """The faults of a build: `latency_s` is added to every request, and every request leaves `leaks_bytes` in memory for ever."""

    latency_s: float = 0.0
    crashes: bool = False
    answers_from_last: bool = False
    leaks_bytes: int = 0
    never_ready: bool = False

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        """Read `BUILD_LATENCY_MS`, `BUILD_CRASHES=1` (at its start), `BUILD_ANSWERS_FROM_LAST=1`, `BUILD_LEAK_BYTES` and
        `BUILD_NEVER_READY=1` (its readiness probe is broken). Raises ConfigError.
        """
        return cls(
            _number(env, "BUILD_LATENCY_MS", "milliseconds", LATENCY_MAX_MS) / 1000,
            env.get("BUILD_CRASHES") == "1",
            env.get("BUILD_ANSWERS_FROM_LAST") == "1",
            int(_number(env, "BUILD_LEAK_BYTES", "bytes", LEAK_MAX_BYTES)),
            env.get("BUILD_NEVER_READY") == "1",
        )


def _number(env: Mapping[str, str], name: str, unit: str, most: float) -> float:
    text = env.get(name) or "0"
    try:
        value = float(text)
    except ValueError as error:
        raise ConfigError(f"{name} must be a number of {unit}, not {text!r}") from error
    if not 0 <= value <= most:
        raise ConfigError(f"{name} must be from 0 to {most:g}, not {text!r}")
    return value


class Slower:
    """ASGI middleware: every request but those of probes waits that long in the service itself."""

    def __init__(self, app: ASGIApp, latency_s: float) -> None:
        self._app = app
        self._latency_s = latency_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in PROBE_PATHS:
            await asyncio.sleep(self._latency_s)
        await self._app(scope, receive, send)


class Leaking:
    """ASGI middleware: every request but those of probes leaves so many bytes behind, written to, so that they are resident."""

    def __init__(self, app: ASGIApp, each_bytes: int) -> None:
        self._app = app
        self._each_bytes = each_bytes
        self._left: list[bytes] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in PROBE_PATHS:
            self._left.append(b"\x01" * self._each_bytes)
        await self._app(scope, receive, send)
