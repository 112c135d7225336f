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
PROBE_PATHS = frozenset({"/health", "/ready", "/metrics"})


@dataclass(frozen=True)
class Build:
    """The faults of a build, `latency_s` on every request among them."""

    latency_s: float = 0.0
    crashes: bool = False
    answers_from_last: bool = False

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        """Read `BUILD_LATENCY_MS`, `BUILD_CRASHES=1` (at its start) and `BUILD_ANSWERS_FROM_LAST=1`. Raises ConfigError."""
        text = env.get("BUILD_LATENCY_MS") or "0"
        try:
            latency_ms = float(text)
        except ValueError as error:
            raise ConfigError(f"BUILD_LATENCY_MS must be a number of milliseconds, not {text!r}") from error
        if not 0 <= latency_ms <= LATENCY_MAX_MS:
            raise ConfigError(f"BUILD_LATENCY_MS must be from 0 to {LATENCY_MAX_MS:g}, not {text!r}")
        return cls(latency_ms / 1000, env.get("BUILD_CRASHES") == "1", env.get("BUILD_ANSWERS_FROM_LAST") == "1")


class Slower:
    """ASGI middleware: every request but those of probes waits that long in the service itself."""

    def __init__(self, app: ASGIApp, latency_s: float) -> None:
        self._app = app
        self._latency_s = latency_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in PROBE_PATHS:
            await asyncio.sleep(self._latency_s)
        await self._app(scope, receive, send)
