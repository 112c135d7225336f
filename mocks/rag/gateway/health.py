"""What the gateway says about the health of the system: status, response time, detail.

`ok`: everything asked answers. `degraded`: something does, and the service goes on with less. `down`: nothing does (503).
Answers are kept for KEEP_S and asked for once at a time, so that a crowd of probes is no load on what it probes.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Literal

import httpx
from cachetools import TTLCache

from mocks.rag.common.registry import PROVIDERS, Instance, Registry

KEEP_S = 1.0
PROBE_TIMEOUT_S = 2.0
SERVICES = ("query", "document", "user")

Status = Literal["ok", "degraded", "down"]
Report = dict[str, Any]


class HealthProbes:
    """Asks instances for `/ready`. Outside of the balanced clients: a probe is no traffic and must not look like some."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._http = httpx.AsyncClient(timeout=PROBE_TIMEOUT_S, trust_env=False)
        self._kept: TTLCache[tuple[str, ...], Report] = TTLCache(16, KEEP_S)
        self._asking: defaultdict[tuple[str, ...], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def services(self) -> Report:
        """Query, document and user: down without query, degraded where another one is not whole."""
        return await self._report(SERVICES, essential="query")

    async def entry(self) -> Report:
        """Query alone: whether questions can be answered at all."""
        return await self._report(("query",), essential="query")

    async def providers(self) -> Report:
        """The LLM providers: degraded when one of them is not whole, down when none answers."""
        return await self._report(PROVIDERS, essential=None)

    async def embeddings(self) -> Report:
        """The embedding service."""
        return await self._report(("embedding",), essential="embedding")

    async def close(self) -> None:
        """Close connections."""
        await self._http.aclose()

    async def _report(self, services: Sequence[str], *, essential: str | None) -> Report:
        key = tuple(services)
        async with self._asking[key]:
            kept = self._kept.get(key)
            if kept is None:
                kept = self._kept[key] = await self._ask(services, essential)
        return kept

    async def _ask(self, services: Sequence[str], essential: str | None) -> Report:
        started = time.perf_counter()
        answers = await asyncio.gather(*(self._service(service) for service in services))
        detail = dict(zip(services, answers, strict=True))
        states = [answer["status"] for answer in answers]
        if all(state == "ok" for state in states):
            status: Status = "ok"
        elif all(state == "down" for state in states) or (essential is not None and detail[essential]["status"] == "down"):
            status = "down"
        else:
            status = "degraded"
        return {"status": status, "response_time_ms": _since_ms(started), "detail": detail}

    async def _service(self, service: str) -> Report:
        instances = self._registry.instances(service)
        if not instances:
            return {"status": "down", "reason": "no instance is registered"}
        answers = await asyncio.gather(*(self._instance(instance) for instance in instances))
        ready = sum(answer["ready"] for answer in answers)
        status: Status = "ok" if ready == len(answers) else "degraded" if ready else "down"
        return {"status": status, "instances": dict(zip((one.name for one in instances), answers, strict=True))}

    async def _instance(self, instance: Instance) -> Report:
        started = time.perf_counter()
        try:
            response = await self._http.get(instance.url + "/ready")
        except httpx.TransportError as error:
            return {"ready": False, "response_time_ms": _since_ms(started), "reason": type(error).__name__}
        report: Report = {"ready": response.status_code == 200, "response_time_ms": _since_ms(started)}
        return report if report["ready"] else {**report, "reason": f"status {response.status_code}"}


def _since_ms(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 2)
