"""Migration and retrieval on a real PostgreSQL with pgvector and a real Valkey."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from mocks.llm.hashing import embed
from tests.integration.backends import Postgres, Valkey, wait_until
from tests.integration.services import REPOSITORY, Reply, ServiceProcess, StandIn, write_registry

pytestmark = [pytest.mark.e2e, pytest.mark.beside]

TOPICS = ("tides", "glaciers", "volcanoes", "deserts", "rainforests", "comets", "orchids", "beetles", "violins", "bridges")


def corpus_lines(documents: int) -> list[dict[str, Any]]:
    """Each document has a subject and a number of its own."""
    return [
        {
            "doc_id": f"doc-{number}",
            "title": f"{TOPICS[number % 10].title()} volume{number}",
            "text": f"This volume{number} is about {TOPICS[number % 10]}. " + f"Canary{number} sings. " * 40,
            "version": 1,
        }
        for number in range(documents)
    ]


def write_corpus(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def run_migrate(**environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mocks.rag.migrate"]
    return subprocess.run(
        command, cwd=REPOSITORY, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture
def corpus_url(database_url: str, tmp_path: Path) -> str:
    """A database with forty documents."""
    corpus = write_corpus(tmp_path / "corpus.jsonl", corpus_lines(40))
    done = run_migrate(DATABASE_URL=database_url, CORPUS_FILE=str(corpus))
    assert (done.returncode, json.loads(done.stdout)) == (0, {"documents": 40, "chunks": 40}), done.stderr
    return database_url


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    return write_registry(tmp_path / "registry.json", {}, {"cache_epoch": 0})


@pytest.fixture
def retrieval(corpus_url: str, valkey: Valkey, registry: Path, tmp_path: Path) -> Iterator[ServiceProcess]:
    environment = {"DATABASE_URL": corpus_url, "REDIS_URL": valkey.url, "REGISTRY_FILE": str(registry)}
    service = ServiceProcess("retrieval", environment, tmp_path / "retrieval.log")
    try:
        service.start()
        yield service
    finally:
        service.close()


def question(number: int) -> dict[str, Any]:
    text = f"What is volume{number} about?"
    return {"text": text, "embedding": [float(value) for value in embed(text, 384)], "top_k": 3}


def retrieve(service: ServiceProcess, body: dict[str, Any]) -> httpx.Response:
    return service.http.post("/retrieve", json=body)


def test_migration_again_changes_only_what_changed(corpus_url: str, tmp_path: Path) -> None:
    with psycopg.connect(corpus_url) as connection:
        connection.execute("UPDATE documents SET revision = 5, text = 'uploaded since' WHERE doc_id = 'doc-1'")
        before: dict[str, datetime] = dict(connection.execute("SELECT doc_id, updated_at FROM documents").fetchall())
    lines = corpus_lines(41)
    lines[0]["text"] = "word " * 130
    done = run_migrate(DATABASE_URL=corpus_url, CORPUS_FILE=str(write_corpus(tmp_path / "new.jsonl", lines)))
    assert json.loads(done.stdout) == {"documents": 41, "chunks": 42}
    with psycopg.connect(corpus_url) as connection:
        after: dict[str, datetime] = dict(connection.execute("SELECT doc_id, updated_at FROM documents").fetchall())
        kept = connection.execute("SELECT text FROM documents WHERE doc_id = 'doc-1'").fetchone()
        indexes = {row[0] for row in connection.execute("SELECT indexname FROM pg_indexes WHERE tablename = 'chunks'")}
    assert {doc_id for doc_id in after if after[doc_id] != before.get(doc_id)} == {"doc-0", "doc-40"}
    assert (kept, indexes >= {"chunks_embedding", "chunks_words"}) == (("uploaded since",), True)


def test_migration_can_take_its_vectors_from_the_embedding_service(database_url: str, tmp_path: Path) -> None:
    embedding = StandIn({"/embed": lambda body: Reply({"embeddings": [[1.0] + [0.0] * 383] * len(body["texts"]), "model": "m"})})
    try:
        corpus = write_corpus(tmp_path / "corpus.jsonl", corpus_lines(3))
        done = run_migrate(DATABASE_URL=database_url, CORPUS_FILE=str(corpus), EMBEDDING_URL=embedding.url)
    finally:
        embedding.close()
    assert (done.returncode, json.loads(done.stdout), len(embedding.seen)) == (0, {"documents": 3, "chunks": 3}, 1)
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT DISTINCT embedding::text LIKE '[1,0,0,%%' FROM chunks").fetchall() == [(True,)]


@pytest.mark.parametrize(
    ("environment", "exit_code", "reason"),
    [
        ({"DATABASE_URL": "", "CORPUS_FILE": ""}, 2, "migrate: set DATABASE_URL and CORPUS_FILE\n"),
        (
            {"DATABASE_URL": "postgresql://127.0.0.1:1/x", "CORPUS_FILE": "/nonexistent"},
            1,
            "migrate: InvalidCorpusError: /nonexistent: No such file",
        ),
        ({"DATABASE_URL": "postgresql://127.0.0.1:1/x", "CORPUS_FILE": os.devnull}, 1, "migrate: OperationalError: "),
    ],
)
def test_migration_says_what_it_lacks(environment: dict[str, str], exit_code: int, reason: str) -> None:
    done = run_migrate(**environment)
    assert (done.returncode, done.stdout, done.stderr[: len(reason)]) == (exit_code, "", reason)


def test_finds_by_vector_and_serves_the_next_from_the_cache(retrieval: ServiceProcess) -> None:
    first = retrieve(retrieval, question(7)).json()
    assert first["results"][0]["doc_id"] == "doc-7"
    assert (len(first["results"]), first["results"][0].keys()) == (3, {"doc_id", "chunk_id", "text", "score"})
    assert first["results"] == sorted(first["results"], key=lambda result: -result["score"])
    assert {key: first[key] for key in ("cached", "degraded", "degraded_reasons")} == {
        "cached": False,
        "degraded": False,
        "degraded_reasons": [],
    }
    assert retrieve(retrieval, question(7)).json() == {**first, "cached": True}
    assert retrieval.metric("rag_cache_requests_total", cache="retrieval", tier="memory", result="hit") == 1
    assert retrieval.metric("rag_client_requests_total", callee="postgres", outcome="ok") >= 1
    assert retrieval.metric("rag_client_requests_total", callee="cache", outcome="ok") == 2


def test_a_second_replica_finds_the_result_in_redis(retrieval: ServiceProcess, corpus_url: str, valkey: Valkey, tmp_path: Path) -> None:
    first = retrieve(retrieval, question(3)).json()
    other = ServiceProcess("retrieval", {"DATABASE_URL": corpus_url, "REDIS_URL": valkey.url}, tmp_path / "other.log")
    try:
        other.start()
        assert retrieve(other, question(3)).json() == {**first, "cached": True}
        assert other.metric("rag_cache_requests_total", cache="retrieval", tier="redis", result="hit") == 1
    finally:
        other.close()


def test_without_an_embedding_finds_by_words_and_says_so(retrieval: ServiceProcess) -> None:
    found = retrieve(retrieval, {"text": "Tell me: which thing does canary12 do?", "top_k": 2}).json()
    assert [result["doc_id"] for result in found["results"]] == ["doc-12"]
    assert (found["degraded"], found["degraded_reasons"]) == (True, ["lexical_retrieval"])
    assert retrieve(retrieval, {"text": "zyzzyva", "top_k": 2}).json()["results"] == []
    assert retrieval.metric("rag_degraded_total", reason="lexical_retrieval") == 2


def test_a_new_cache_epoch_empties_both_tiers(retrieval: ServiceProcess, registry: Path) -> None:
    retrieve(retrieval, question(1))
    assert retrieve(retrieval, question(1)).json()["cached"] is True
    write_registry(registry, {}, {"cache_epoch": 1}, revision=2)
    wait_until(lambda: retrieve(retrieval, question(1)).json()["cached"] is False, "a miss after the new epoch")


def test_a_dead_cache_costs_little_and_is_left_alone_for_a_while(retrieval: ServiceProcess, valkey: Valkey) -> None:
    valkey.kill()
    begun_s = time.monotonic()
    answers = [retrieve(retrieval, question(number)) for number in range(10)]
    took_s = time.monotonic() - begun_s
    assert [(answer.status_code, answer.json()["degraded"]) for answer in answers] == [(200, False)] * 10
    failures = retrieval.metric("rag_client_requests_total", callee="cache", outcome="connect_error")
    assert 1 <= failures <= 4 + took_s  # one a second, not two a request
    valkey.start()
    numbers = itertools.count(10)
    wait_until(
        lambda: (
            retrieve(retrieval, question(next(numbers))) and retrieval.metric("rag_client_requests_total", callee="cache", outcome="ok") > 0
        ),
        "the cache is used again",
        every_s=0.2,
    )


def test_without_database_known_questions_are_answered_and_others_503(
    retrieval: ServiceProcess, postgres: Postgres, valkey: Valkey
) -> None:
    known = retrieve(retrieval, question(5)).json()
    with valkey.client() as client:
        client.flushall()
    postgres.stop()
    assert retrieve(retrieval, question(5)).json() == {**known, "cached": True}  # young enough: not degraded
    refused = retrieve(retrieval, question(6))
    assert (refused.status_code, refused.json()["error"]["code"].startswith("postgres_"), refused.headers["retry-after"]) == (
        503,
        True,
        "1",
    )
    wait_until(lambda: retrieval.http.get("/ready").status_code == 503, "not ready")
    assert retrieval.http.get("/ready").json()["checks"].keys() == {"postgres"}
    assert retrieval.http.get("/health").status_code == 200
    postgres.start()
    wait_until(lambda: retrieve(retrieval, question(6)).status_code == 200, "answers again")
    wait_until(lambda: retrieval.http.get("/ready").status_code == 200, "ready again")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"text": " "},
        {"text": 7},
        {"embedding": [0.1]},
        {"embedding": ["a"] * 384},
        {"embedding": [True] * 384},
        {"text": "x", "top_k": 0},
        {"text": "x", "top_k": 51},
        {"text": "x", "top_k": True},
    ],
)
def test_refuses_what_it_cannot_search_for(shared_retrieval: ServiceProcess, body: dict[str, Any]) -> None:
    answer = retrieve(shared_retrieval, body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_request")


@pytest.fixture(scope="module")
def shared_retrieval(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """One whose database is never asked."""
    environment = {"DATABASE_URL": "postgresql://127.0.0.1:1/none", "REDIS_URL": "redis://127.0.0.1:1/0"}
    service = ServiceProcess("retrieval", environment, tmp_path_factory.mktemp("retrieval") / "retrieval.log")
    try:
        service.start("/health")
        yield service
    finally:
        service.close()
