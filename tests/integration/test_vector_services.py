"""Retrieval and document over each vector store: what is uploaded is found, and what users see while the store is away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mocks.rag.vectorstore.base import VectorStoreName
from tests.integration.backends import Valkey, wait_until
from tests.integration.services import Reply, ServiceProcess, StandIn
from tests.integration.test_retrieval import corpus_lines
from tests.integration.vector_stores import Deployment, deployed, vector

pytestmark = [pytest.mark.e2e, pytest.mark.beside]

HARMLESS = {"cached": False, "degraded": False, "degraded_reasons": []}


@dataclass(frozen=True)
class Services:
    """Both services on one deployment."""

    deployment: Deployment
    retrieval: ServiceProcess
    document: ServiceProcess
    embedding: StandIn

    def retrieve(self, text: str, top_k: int = 3) -> dict[str, Any]:
        answer = self.retrieval.http.post("/retrieve", json={"text": text, "embedding": vector(text), "top_k": top_k})
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def upload(self, doc_id: str, text: str) -> None:
        answer = self.document.http.post("/documents", json={"doc_id": doc_id, "title": "Upload", "text": text})
        assert answer.status_code == 202, answer.text

    def is_indexed(self, doc_id: str) -> bool:
        return bool(self.document.http.get(f"/documents/{doc_id}").json().get("status") == "indexed")


def embeddings(body: dict[str, Any]) -> Reply:
    return Reply({"embeddings": [vector(text) for text in body["texts"]], "model": "stand-in"})


@pytest.fixture(params=["pgvector", "qdrant", "chroma"])
def services(request: pytest.FixtureRequest, database_url: str, valkey: Valkey, tmp_path: Path) -> Iterator[Services]:
    name: VectorStoreName = request.param
    with deployed(name, database_url, tmp_path) as deployment:
        embedding = StandIn({"/embed": embeddings})
        deployment.lists({"embedding": [embedding.url]})
        assert deployment.migrate(corpus_lines(20)).returncode == 0
        environment = {**deployment.environment, "REDIS_URL": valkey.url, "SPOOL_DIR": str(tmp_path / "spool")}
        processes = [ServiceProcess(service, environment, tmp_path / f"{service}.log") for service in ("retrieval", "document")]
        try:
            for process in processes:
                process.start()
            yield Services(deployment, processes[0], processes[1], embedding)
        finally:
            for process in processes:
                process.close()
            embedding.close()


def test_what_is_uploaded_is_found_and_what_replaces_it_too(services: Services) -> None:
    found = services.retrieve("What is volume7 about?")
    assert (found["results"][0]["doc_id"], {key: found[key] for key in HARMLESS}) == ("doc-7", HARMLESS)
    services.upload("new", "The quokka is a small macropod.")
    wait_until(lambda: services.is_indexed("new"), "indexed")
    assert services.retrieve("Upload\nThe quokka is a small macropod.")["results"][0]["doc_id"] == "new"
    services.upload("new", "The numbat is a marsupial.")
    wait_until(lambda: services.is_indexed("new"), "the second revision indexed")  # the upload has made it `queued`
    assert services.retrieve("Upload\nThe numbat is a marsupial.")["results"][0]["doc_id"] == "new"
    texts = [one["text"] for one in services.retrieve("Upload\nThe quokka is a small macropod.", top_k=50)["results"]]
    assert [text for text in texts if text.startswith("Upload")] == ["Upload\nThe numbat is a marsupial."]
    callee = "postgres" if services.deployment.vector is None else "vector"
    assert services.retrieval.metric("rag_client_requests_total", callee=callee, outcome="ok") >= 3
    wait_until(lambda: services.document.metric("rag_ingest_total", state="indexed") == 2, "both are counted")


@pytest.mark.parametrize("services", ["qdrant", "chroma"], indirect=True)  # pgvector is away when the database is
def test_while_the_store_is_away_words_answer_and_documents_wait(services: Services) -> None:
    store = services.deployment.vector
    assert store is not None
    store.kill()
    answers = [services.retrieve(f"What does canary{number} do?") for number in range(8)]
    assert [(one["degraded"], one["degraded_reasons"], one["results"][0]["doc_id"]) for one in answers] == [
        (True, ["lexical_retrieval"], f"doc-{number}") for number in range(8)
    ]
    assert services.retrieval.metric("rag_degraded_total", reason="lexical_retrieval") == 8
    assert services.retrieval.metric("rag_client_requests_total", callee="vector", outcome="connect_error") >= 5
    wait_until(lambda: services.retrieval.metric("rag_circuit_state", callee="vector") == 2, "the circuit open")
    for service in (services.retrieval, services.document):
        wait_until(lambda service=service: service.http.get("/ready").status_code == 503, "not ready")  # type: ignore[misc]  # mypy cannot infer a lambda's default
        assert service.http.get("/ready").json()["checks"].keys() == {"vector"}
    services.upload("waits", "Nothing is lost.")
    wait_until(lambda: services.document.metric("rag_ingest_total", state="retried") >= 2, "two tries")
    assert not services.is_indexed("waits")
    store.start()
    wait_until(lambda: services.is_indexed("waits"), "indexed once the store is back")
    wait_until(lambda: services.retrieve("Upload\nNothing is lost.", top_k=4)["degraded"] is False, "searched by vector again")
    assert services.document.metric("rag_ingest_total", state="dead") == 0
    for service in (services.retrieval, services.document):
        wait_until(lambda service=service: service.http.get("/ready").status_code == 200, "ready again")  # type: ignore[misc]  # as above
