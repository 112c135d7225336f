"""The life of a mock Qdrant's process: kills, restarts, what it tells of itself, and why it does not start."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

from tests.integration.backends import free_port
from tests.integration.services import REPOSITORY, ServiceProcess

TOKEN = "admin-secret"
DOCS = "docs"
SIZE = 4


class QdrantProcess(ServiceProcess):
    """`python -m mocks.vector qdrant` with a profile and an admin API."""

    def __init__(self, folder: Path, profile: Mapping[str, Any]) -> None:
        file = folder / "profile.json"
        file.write_text(json.dumps(profile))
        port = free_port()
        environment = {
            "VECTOR_PROFILE": str(file),
            "ADMIN_PORT": str(port),
            "ADMIN_TOKEN": TOKEN,
            "FAULTS_FILE": str(folder / "faults.json"),
        }
        super().__init__("vector", environment, folder / "vector.log", ("mocks.vector", "qdrant"))
        headers = {"authorization": f"Bearer {TOKEN}"}
        self.admin = httpx.Client(base_url=f"http://127.0.0.1:{port}/admin", headers=headers, timeout=10, trust_env=False)

    def close(self) -> None:
        super().close()
        self.admin.close()


def start(folder: Path, **profile: Any) -> QdrantProcess:
    process = QdrantProcess(folder, profile)
    process.start()
    return process


@pytest.mark.e2e
@pytest.mark.beside
def test_what_was_acknowledged_outlives_a_kill(tmp_path: Path) -> None:
    process = start(tmp_path, persist_dir="kept")
    try:
        before = QdrantClient(url=process.url, check_compatibility=False)
        before.create_collection(DOCS, models.VectorParams(size=SIZE, distance=models.Distance.COSINE))
        before.upsert(DOCS, [models.PointStruct(id=n, vector=[n, 1, 1, 1], payload={"n": n}) for n in range(1, 30)])
        before.delete(DOCS, [1])
        before.update_collection_aliases(
            [models.CreateAliasOperation(create_alias=models.CreateAlias(collection_name=DOCS, alias_name="live"))]
        )
        process.admin.put("/faults/lasting", json={"type": "empty_results", "match": {"collections": ["other"]}}).raise_for_status()
        seen = before.scroll("live", limit=50, with_vectors=True)
        before.close()
        process.kill()
        process.start()
        after = QdrantClient(url=process.url, check_compatibility=False)
        assert after.scroll("live", limit=50, with_vectors=True) == seen
        assert [fault["id"] for fault in process.admin.get("/faults").json()["faults"]] == ["lasting"]
        after.close()
        assert process.stop() == 0
    finally:
        process.close()


@pytest.mark.e2e
@pytest.mark.beside
def test_journal_metrics_log_and_latency_tell_of_each_request(tmp_path: Path) -> None:
    process = start(tmp_path, latency={"read": {"constant_ms": 60}}, api_keys=["secret"], version="1.20.3", seed=5)
    try:
        with pytest.raises(UnexpectedResponse, match="Must provide an API key"):
            QdrantClient(url=process.url, check_compatibility=False).get_collections()
        with pytest.warns(UserWarning, match="insecure connection"):
            client = QdrantClient(url=process.url, api_key="secret", check_compatibility=False)
        client.create_collection(DOCS, models.VectorParams(size=SIZE, distance=models.Distance.COSINE))
        client.upsert(DOCS, [models.PointStruct(id=1, vector=[1, 1, 1, 1])])
        client.query_points(DOCS, [1.0, 0, 0, 0])
        client.query_points(DOCS, [1.0, 0, 0, 0])
        client.close()
        journal = process.admin.get("/journal?after=0").json()
        rows = [row for row in journal["requests"] if row["operation"] in ("upsert", "query")]
        assert [(row["operation"], row["collection"], row["status"], row["attempt"], row["hits"]) for row in rows] == [
            ("upsert", DOCS, 200, 1, None),
            ("query", DOCS, 200, 1, 1),
            ("query", DOCS, 200, 2, 1),
        ]
        assert rows[1]["key"] == rows[2]["key"] != rows[0]["key"]
        assert (rows[0]["drawn_ms"], rows[1]["drawn_ms"]) == (0.0, 60.0)
        assert rows[1]["duration_ms"] >= 60
        assert len({row["account"] for row in rows}) == 1
        assert "secret" not in json.dumps(journal)
        route = "/collections/{name}/points/query"
        assert process.metric("rag_requests_total", route=route, method="POST", status="200") == 2
        assert process.metric("rag_requests_total", route="/collections", status="401") == 1
        assert (process.metric("vector_points", collection=DOCS), process.metric("vector_collections")) == (1, 1)
        assert process.admin.put("/profile", json={"latency": {"read": {"constant_ms": 0}}}).json()["latency"] == {
            "read": {"constant_ms": 0}
        }
        assert process.admin.get("/profile").json() == {"latency": {"read": {"constant_ms": 0}}, "version": "1.20.3", "seed": 5}
        assert process.admin.put("/profile", json={"seed": 6}).status_code == 400
        line = next(json.loads(line) for line in process.log.read_text().splitlines() if route in line)
        assert (line["method"], line["route"], line["status"], line["service"], line["instance"]) == (
            "POST",
            route,
            200,
            "vector",
            "vector-1",
        )
        assert process.http.get("/health").json() == {"status": "ok"}
        assert process.http.get("/").json() == {"title": "qdrant - vector search engine", "version": "1.20.3", "commit": ""}
    finally:
        process.close()


@pytest.mark.e2e
@pytest.mark.beside
def test_a_large_upsert_and_a_pipeline_of_searches(tmp_path: Path) -> None:
    process = start(tmp_path)
    try:
        client = QdrantClient(url=process.url, timeout=30, check_compatibility=False)
        client.create_collection(DOCS, models.VectorParams(size=256, distance=models.Distance.COSINE))
        vectors = np.random.default_rng(1).standard_normal((4_000, 256)).astype(np.float32)
        client.upload_collection(DOCS, vectors, payload=({"n": n % 10} for n in range(4_000)), ids=range(4_000), batch_size=1_000)
        assert client.count(DOCS).count == 4_000
        exact = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        requests = [models.QueryRequest(query=vectors[n].tolist(), limit=10) for n in range(20)]
        for n, answer in enumerate(client.query_batch_points(DOCS, requests)):
            best = np.argsort(-(exact @ exact[n]), kind="stable")[:10]
            assert [hit.id for hit in answer.points] == best.tolist()
        client.close()
    finally:
        process.close()


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (["nothing"], {}, "usage: python -m mocks.vector qdrant|chroma\n"),
        (["qdrant"], {}, "mock qdrant: PORT must be a port number from 0 to 65535, not ''\n"),
        (["qdrant"], {"VECTOR_PROFILE": '{"colour": 1}'}, "mock qdrant: unknown key in the profile: colour; it may have "),
        (["qdrant"], {"VECTOR_PROFILE": '{"latency": {"read": 5}}'}, "mock qdrant: latency.read must be an object with one of constant_ms"),
        (["qdrant"], {"VECTOR_PROFILE": "{"}, "mock qdrant: the profile is not JSON: "),
        (["qdrant"], {"VECTOR_PROFILE": "/nowhere.json"}, "mock qdrant: cannot read the profile: "),
        (["chroma"], {"PORT": "0", "ADMIN_PORT": "1"}, "mock chroma: ADMIN_TOKEN must be set"),
    ],
)
def test_what_cannot_start_says_why(arguments: list[str], environment: dict[str, str], said: str) -> None:
    command = [sys.executable, "-m", "mocks.vector", *arguments]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stdout, done.stderr[: len(said)]) == (2, "", said)
    assert done.stderr.count("\n") == 1


@pytest.mark.e2e
@pytest.mark.beside
def test_two_of_them_do_not_share_a_directory(tmp_path: Path) -> None:
    first = start(tmp_path, persist_dir="kept")
    try:
        environment = {"PORT": "0", "VECTOR_PROFILE": str(tmp_path / "profile.json")}
        command = [sys.executable, "-m", "mocks.vector", "qdrant"]
        done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False, timeout=30)
        assert (done.returncode, done.stderr) == (2, f"mock qdrant: {tmp_path / 'kept'} is in use by another process\n")
        assert first.stop() == 0
    finally:
        first.close()
