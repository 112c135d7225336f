"""The mocks as containers, from the image of the services."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.stack.images import ensure
from tests.e2e.docker_engine import LABEL, docker, inspect, published, why_not
from tests.integration.backends import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.beside, pytest.mark.timeout(300)]

TOKEN = "admin-secret"
HEALTHY_WITHIN_S = 60.0


@pytest.fixture(scope="module")
def image() -> str:
    if reason := why_not():
        pytest.skip(reason)
    return ensure(["services"])["services"]


class Container:
    """One mock in a container, its ports published on loopback."""

    def __init__(self, image: str, *command: str) -> None:
        environment = ["-e", "ADMIN_PORT=8081", "-e", f"ADMIN_TOKEN={TOKEN}"]
        ports = ["-p", "127.0.0.1::8080", "-p", "127.0.0.1::8081"]
        hardened = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--memory", "256m"]
        self.id = docker("run", "--detach", f"--label={LABEL}", *ports, *environment, *hardened, image, *command)
        headers = {"authorization": f"Bearer {TOKEN}"}
        self.http = httpx.Client(base_url=self._published(8080), timeout=60, trust_env=False)
        self.admin = httpx.Client(base_url=f"{self._published(8081)}/admin", headers=headers, timeout=60, trust_env=False)

    def _published(self, port: int) -> str:
        return f"http://{published(self.id, port)}"

    def inspect(self) -> dict[str, Any]:
        return inspect(self.id)

    def ready(self) -> bool:
        assert self.inspect()["State"]["Running"], docker("logs", self.id)
        try:
            return self.http.get("/ready").status_code == 200
        except httpx.TransportError:
            return False

    def close(self) -> None:
        self.http.close()
        self.admin.close()
        docker("rm", "--force", self.id)


@contextmanager
def running(image: str, *command: str) -> Iterator[Container]:
    container = Container(image, *command)
    try:
        wait_until(container.ready, f"container {' '.join(command)} ready")
        yield container
    finally:
        container.close()


def test_the_provider_answers_breaks_and_stops_in_order(image: str) -> None:
    with running(image) as llm:
        asked = {"model": "rag-chat", "messages": [{"role": "user", "content": "Hello?"}]}
        answer = llm.http.post("/v1/chat/completions", json=asked)
        assert answer.status_code == 200
        assert answer.json()["choices"][0]["finish_reason"] == "stop"

        assert llm.admin.put("/faults/down", json={"type": "server_error"}).status_code == 200
        assert llm.http.post("/v1/chat/completions", json=asked).status_code == 500
        assert llm.admin.delete("/faults/down").status_code == 204
        assert llm.http.post("/v1/chat/completions", json=asked).status_code == 200

        wait_until(lambda: llm.inspect()["State"]["Health"]["Status"] == "healthy", "the health check passes", HEALTHY_WITHIN_S)
        docker("stop", "--time", "60", llm.id)
        state = llm.inspect()["State"]
        assert (state["ExitCode"], state["OOMKilled"]) == (0, False), docker("logs", llm.id)


@pytest.mark.parametrize(
    ("product", "path", "key"), [("qdrant", "/collections", "result"), ("chroma", "/api/v2/heartbeat", "nanosecond heartbeat")]
)
def test_the_vector_stores_answer(image: str, product: str, path: str, key: str) -> None:
    with running(image, "mocks.vector", product) as store:
        answer = store.http.get(path)
        assert answer.status_code == 200
        assert key in answer.json()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is offered an engine by pipelines/docker")
def test_the_engine_script_leaves_an_engine_that_answers_alone() -> None:
    if reason := why_not():
        pytest.skip(reason)
    before = docker("info", "--format", "{{.ID}}")
    subprocess.run([Path(__file__).resolve().parents[2] / "pipelines" / "docker"], check=True, timeout=120)
    assert docker("info", "--format", "{{.ID}}") == before
