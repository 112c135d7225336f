"""Health reports that cost what they report on as little as possible."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from mocks.rag.common.registry import Registry
from mocks.rag.gateway.health import HealthProbes
from tests.unit.mocks_common.stub_server import write_registry


def test_a_crowd_of_probes_asks_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def ask(_client: httpx.AsyncClient, url: str) -> httpx.Response:
        asked.append(url)
        await asyncio.sleep(0.05)
        return httpx.Response(200)

    async def scenario() -> list[str]:
        write_registry(tmp_path / "registry.json", {"query": ["http://query"]})
        probes = HealthProbes(Registry(tmp_path / "registry.json"))
        reports = await asyncio.gather(*(probes.entry() for _ in range(20)))
        await probes.close()
        return [report["status"] for report in reports]

    monkeypatch.setattr(httpx.AsyncClient, "get", ask)
    assert asyncio.run(scenario()) == ["ok"] * 20
    assert asked == ["http://query/ready"]
