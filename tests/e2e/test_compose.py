"""The compose file of the reference stack, as a user brings it up by hand: it answers, it watches, it alerts, and nothing of it stays."""

from __future__ import annotations

import json
import os
import ssl
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from harness.stack.images import NAMES, build, deployment
from tests.e2e.docker_engine import allowed_s, docker, published, why_not
from tests.integration.backends import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.beside, pytest.mark.timeout(300)]

READY_WITHIN_S = 12.0
ALERT_WITHIN_S = 60.0  # two scrapes, ten seconds of `for`, an evaluation, two seconds of grouping; and a machine that does other things
QUESTION = {"question": "How do I parse JSON from a string?", "top_k": 3}


@dataclass(frozen=True)
class Project:
    """One project of the compose file, with ports that the engine chooses."""

    name: str
    tag: str

    def compose(self, *words: str, timeout_s: float = 120.0) -> str:
        ports = {f"RAG_{name}_PORT": "0" for name in ("HTTPS", "HTTP", "PROMETHEUS", "ALERTMANAGER", "GRAFANA")}
        options = ("-p", self.name, "-f", str(deployment() / "compose.yaml"))
        return docker("compose", *options, *words, environment={**os.environ, **ports, "RAG_TAG": self.tag}, timeout_s=timeout_s)

    def reach(self, service: str, port: int) -> str:
        """Address of a published port."""
        return published(f"{self.name}-{service}-1", port)

    def client(self) -> httpx.Client:
        """Of the gateway, through nginx; it trusts the certificate that nginx made, and no other."""
        secret = self.compose("run", "--rm", "-T", "credentials", "mocks.rag.credentials", "/run/rag", "--show", "api_key")
        certificate = docker("exec", f"{self.name}-nginx-1", "cat", "/run/tls/tls.crt")
        trust = ssl.create_default_context(cadata=certificate)
        headers = {"authorization": f"Bearer {secret}"}
        return httpx.Client(base_url=f"https://{self.reach('nginx', 8443)}", verify=trust, headers=headers, timeout=20, trust_env=False)

    def asked(self, service: str, port: int, path: str) -> Any:
        """JSON of Prometheus or Alertmanager."""
        answer = httpx.get(f"http://{self.reach(service, port)}{path}", timeout=10, trust_env=False)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ready_after_s(self) -> float:
        """Bring it up until it answers a first time."""
        begun = time.monotonic()
        self.compose("up", "--detach")
        with httpx.Client(base_url=f"https://{self.reach('nginx', 8443)}", verify=False, timeout=5, trust_env=False) as anybody:

            def ok() -> bool:
                try:
                    answer = anybody.get("/api/health")
                except httpx.TransportError:
                    return False
                return answer.status_code == 200 and answer.json()["status"] == "ok"

            wait_until(ok, "the gateway is ready behind nginx", 60)
        return time.monotonic() - begun

    def health(self) -> dict[str, str]:
        """Of every container that lasts; told by its own check."""
        rows = self.compose("ps", "--format", "json").splitlines()
        return {row["Service"]: row["Health"] for row in map(json.loads, rows)}

    def left(self) -> list[str]:
        """Containers, networks and volumes that there are of it."""
        label = f"--filter=label=com.docker.compose.project={self.name}"
        kinds = (("ps", "--all", "--quiet"), ("network", "ls", "--quiet"), ("volume", "ls", "--quiet"))
        return [found for words in kinds for found in docker(*words, label).split()]


@pytest.fixture(scope="module")
def project() -> Iterator[Project]:
    if reason := why_not() or why_not("compose version"):
        pytest.skip(reason)
    tag = f"test-{uuid.uuid4().hex[:8]}"
    names = [name for name in NAMES if name != "tools"]
    build(names, tag=tag)
    project = Project(f"rag-{tag}", tag)
    try:
        yield project
    finally:
        project.compose("down", "--volumes", "--remove-orphans")
        docker("image", "rm", *(f"rag-gauntlet/{name}:{tag}" for name in names))  # the name only: the images have their own


def test_the_file_is_valid_with_and_without_grafana(project: Project) -> None:
    for profile in ([], ["--profile", "grafana"]):
        resolved = json.loads(project.compose(*profile, "config", "--format", "json"))
        assert ("grafana" in resolved["services"]) == bool(profile)
        assert all(port["host_ip"] == "127.0.0.1" for one in resolved["services"].values() for port in one.get("ports", []))


def test_it_comes_up_answers_alerts_and_goes(project: Project) -> None:
    limit_s, took_s = allowed_s(READY_WITHIN_S), [project.ready_after_s()]
    while took_s[-1] > limit_s and len(took_s) < 3:
        project.compose("down", "--volumes")
        limit_s = max(limit_s, allowed_s(READY_WITHIN_S))
        took_s.append(project.ready_after_s())
    assert min(took_s) <= limit_s, took_s

    with project.client() as client:
        answer = client.post("/api/ask", json=QUESTION)
        assert answer.status_code == 200, answer.text
        assert (answer.json()["degraded"], len(answer.json()["sources"])) == (False, 3)
        with client.stream("POST", "/api/ask", json={**QUESTION, "stream": True}) as streamed:
            lines = [line for line in streamed.iter_lines() if line]
        assert lines[-1] == "data: [DONE]"
        assert len(lines) > 4
        assert client.get("/metrics").status_code == 404
        assert client.get("/api/health/detailed").json()["status"] == "ok"
        plain = httpx.get(f"http://{project.reach('nginx', 8080)}/api/health", trust_env=False)
        assert (plain.status_code, plain.headers["location"][:8]) == (308, "https://")

        def targets() -> dict[str, str]:
            found = project.asked("prometheus", 9090, "/api/v1/targets")["data"]["activeTargets"]
            return {one["labels"]["instance"]: one["health"] for one in found}

        wait_until(lambda: set(targets().values()) == {"up"}, "Prometheus has scraped every target", 60)
        assert len(targets()) == 13

        wait_until(lambda: set(project.health().values()) == {"healthy"}, "every container is healthy", 60, every_s=0.5)
        assert len(project.health()) == 16

        project.compose("stop", "user")

        def down() -> set[str]:
            labels = [alert["labels"] for alert in project.asked("alertmanager", 9093, "/api/v2/alerts")]
            return {one["instance"] for one in labels if one["alertname"] == "InstanceDown"}

        wait_until(lambda: down() == {"user-1"}, "the alert has reached Alertmanager", ALERT_WITHIN_S)
        wait_until(lambda: client.post("/api/ask", json=QUESTION).status_code == 200, "questions are answered without `user`", 60)

    project.compose("down", "--volumes")
    assert project.left() == []
