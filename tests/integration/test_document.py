"""The document service on a real PostgreSQL and a real Valkey: no accepted document is ever lost."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from redis.asyncio import Redis

from mocks.llm.hashing import embed
from mocks.rag.common.db import Pool
from mocks.rag.common.redis_client import redis_client
from mocks.rag.common.tasks import cancel_all
from mocks.rag.document.chunking import Chunk
from mocks.rag.document.embedding import EmbeddingUnavailableError
from mocks.rag.document.events import IngestEvent
from mocks.rag.document.indexer import Indexer, IndexerLimits
from mocks.rag.document.intake import Intake, IntakePace
from mocks.rag.document.spool import Spool
from mocks.rag.document.store import DocumentState, DocumentStore
from mocks.rag.document.stream import IngestStream, Lengths, StreamFullError
from mocks.rag.migrate import migrate
from mocks.rag.vectorstore.pgvector import PgVectorStore
from tests.integration.backends import Postgres, Valkey, wait_until
from tests.integration.services import Reply, ServiceProcess, StandIn, write_registry
from tests.unit.mocks_data.test_uploads import pdf_with

pytestmark = [pytest.mark.e2e, pytest.mark.beside]


def vector(text: str) -> list[float]:
    return [float(number) for number in embed(text, 384)]


def embeddings(body: dict[str, Any]) -> Reply:
    return Reply({"embeddings": [vector(text) for text in body["texts"]], "model": "stand-in"})


@pytest.fixture
def schema_url(database_url: str) -> str:
    """An empty database with the schema."""
    assert migrate(database_url, [], lambda texts: pytest.fail("nothing to embed")) == {"documents": 0, "chunks": 0}
    return database_url


@pytest.fixture
def embedding() -> Iterator[StandIn]:
    stand_in = StandIn({"/embed": embeddings})
    yield stand_in
    stand_in.close()


@pytest.fixture
def document(schema_url: str, valkey: Valkey, embedding: StandIn, tmp_path: Path) -> Iterator[ServiceProcess]:
    registry = write_registry(tmp_path / "registry.json", {"embedding": [embedding.url]})
    environment = {
        "DATABASE_URL": schema_url,
        "REDIS_URL": valkey.url,
        "SPOOL_DIR": str(tmp_path / "spool"),
        "REGISTRY_FILE": str(registry),
    }
    service = ServiceProcess("document", environment, tmp_path / "document.log")
    try:
        service.start()
        yield service
    finally:
        service.close()


def upload(service: ServiceProcess, doc_id: str, text: str = "Some words. And more.") -> str:
    """The status of an accepted document."""
    answer = service.http.post("/documents", json={"doc_id": doc_id, "title": f"Title {doc_id}", "text": text})
    assert answer.status_code == 202, answer.text
    assert answer.json().keys() == {"doc_id", "status"}
    return str(answer.json()["status"])


def all_indexed(service: ServiceProcess, doc_ids: Sequence[str]) -> bool:
    return all(service.http.get(f"/documents/{doc_id}").json().get("status") == "indexed" for doc_id in doc_ids)


def test_a_document_is_queued_then_indexed_and_counted(document: ServiceProcess, schema_url: str) -> None:
    assert upload(document, "a", "word " * 200) == "queued"
    canary = "File\nThe canary is K-17."
    content = base64.b64encode(pdf_with("The canary is K-17.")).decode()
    file = document.http.post("/documents", json={"title": "File", "content_base64": content, "content_type": "application/pdf"})
    wait_until(lambda: all_indexed(document, ["a", file.json()["doc_id"]]), "both indexed")
    assert document.http.get("/documents/a").json() == {"doc_id": "a", "status": "indexed", "chunks": 2}
    assert [document.http.get(f"/documents/{doc_id}").status_code for doc_id in ("none", "%00")] == [404, 404]
    with psycopg.connect(schema_url) as connection:
        query = "SELECT text, embedding <=> %s::vector < 1e-6 FROM chunks WHERE doc_id = %s"
        row = connection.execute(query, (str(vector(canary)), file.json()["doc_id"])).fetchone()
    assert row == (canary, True)
    wait_until(lambda: document.metric("rag_ingest_total", state="indexed") == 2, "both are counted")
    assert [document.metric("rag_ingest_total", state=state) for state in ("accepted", "indexed", "spooled", "dead")] == [2, 2, 0, 0]
    wait_until(lambda: document.metric("rag_queue_length", queue="ingest") == 0, "queue length 0")
    assert document.http.get("/documents/unknown").status_code == 404
    assert document.http.post("/documents", json={"title": "x"}).json()["error"]["code"] == "invalid_request"
    assert document.stop() == 0


def test_nothing_accepted_is_lost_when_the_cache_is_killed_in_a_burst(document: ServiceProcess, valkey: Valkey) -> None:
    accepted: dict[str, str] = {}
    enough = threading.Event()

    def burst() -> None:
        for number in range(120):
            accepted[f"burst-{number}"] = upload(document, f"burst-{number}")
            if len(accepted) == 40:
                enough.set()

    thread = threading.Thread(target=burst)
    thread.start()
    assert enough.wait(60)
    valkey.kill()
    thread.join(60)
    assert not thread.is_alive()
    assert set(accepted.values()) == {"queued", "spooled"}
    assert document.metric("rag_queue_length", queue="spool") > 0
    assert document.http.get("/documents/burst-119").json() == {"doc_id": "burst-119", "status": "spooled", "chunks": 0}
    valkey.start()
    wait_until(lambda: all_indexed(document, list(accepted)), "all of the burst indexed")
    assert len(accepted) == 120
    wait_until(lambda: document.metric("rag_queue_length", queue="spool") == 0, "spool empty")


def test_a_frozen_cache_is_as_good_as_a_dead_one(document: ServiceProcess, valkey: Valkey) -> None:
    os.kill(valkey.pid, signal.SIGSTOP)
    try:
        assert [upload(document, f"frozen-{number}") for number in range(3)] == ["spooled"] * 3
    finally:
        os.kill(valkey.pid, signal.SIGCONT)
    wait_until(lambda: all_indexed(document, [f"frozen-{number}" for number in range(3)]), "all indexed after the thaw")
    wait_until(lambda: document.metric("rag_queue_length", queue="spool") == 0, "spool empty")


def test_the_spool_outlives_the_service(document: ServiceProcess, valkey: Valkey, tmp_path: Path) -> None:
    valkey.kill()
    assert [upload(document, f"kept-{number}") for number in range(5)] == ["spooled"] * 5
    document.kill()
    assert len(list((tmp_path / "spool").glob("*.event.json"))) == 5
    document.start()
    assert document.metric("rag_queue_length", queue="spool") == 5
    valkey.start()
    wait_until(lambda: all_indexed(document, [f"kept-{number}" for number in range(5)]), "all indexed after the restart")
    wait_until(lambda: list((tmp_path / "spool").iterdir()) == [], "spool empty")


def test_without_database_documents_wait_and_without_both_none_is_accepted(
    document: ServiceProcess, postgres: Postgres, valkey: Valkey, tmp_path: Path
) -> None:
    postgres.stop()
    assert upload(document, "waits") == "queued"
    assert document.http.get("/documents/waits").status_code in {502, 503, 504}
    valkey.kill()
    refused = document.http.post("/documents", json={"doc_id": "lost", "title": "t", "text": "x"})
    assert (refused.status_code, refused.json()["error"]["code"], refused.headers["retry-after"]) == (503, "ingest_unavailable", "2")
    assert list((tmp_path / "spool").iterdir()) == []
    postgres.start()
    valkey.start()
    wait_until(lambda: all_indexed(document, ["waits"]), "indexed once both are back")
    assert document.http.get("/documents/lost").status_code == 404


def test_a_slow_embedding_service_delays_and_loses_nothing(document: ServiceProcess, embedding: StandIn) -> None:
    embedding.answers["/embed"] = lambda _body: Reply({"error": {}}, 503)
    upload(document, "patient")
    wait_until(lambda: document.metric("rag_ingest_total", state="retried") >= 2, "two tries")
    embedding.answers["/embed"] = embeddings
    wait_until(lambda: all_indexed(document, ["patient"]), "indexed when embedding answers again")
    assert document.metric("rag_ingest_total", state="dead") == 0


# Below: the parts in this process, on the real databases, with shorter waits.

LIMITS = IndexerLimits(block_ms=50, retry_idle_ms=50, pause_first_s=0.01, pause_max_s=0.05)


def event(doc_id: str, revision: int, text: str = "Words.") -> IngestEvent:
    return IngestEvent(doc_id, "Title", text, revision, "request")


class Shelf:
    """An index in memory."""

    def __init__(self) -> None:
        self.indexed: list[str] = []
        self.buried: list[tuple[str, str]] = []

    async def index(self, event: IngestEvent, chunks: Sequence[Chunk], vectors: Sequence[Sequence[float]]) -> bool:
        assert len(chunks) == len(vectors)
        self.indexed.append(event.doc_id)
        return True

    async def bury(self, event: IngestEvent, reason: str) -> None:
        self.buried.append((event.doc_id, reason))


@asynccontextmanager
async def stream_of(valkey: Valkey, consumer: str = "document-1", entries_max: int = 100) -> AsyncIterator[tuple[IngestStream, Redis]]:
    async with redis_client(valkey.url, timeout_s=1) as commands, redis_client(valkey.url, timeout_s=3) as reader:
        yield IngestStream(commands, reader, consumer, entries_max), commands


async def entries(redis: Redis, stream: str) -> list[dict[bytes, bytes]]:
    answer: Any = await redis.xrange(stream)
    return [fields for _, fields in answer]


@asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        await cancel_all([task])


async def until(condition: Callable[[], Awaitable[bool]], what: str, deadline_s: float = 60.0) -> None:
    try:
        async with asyncio.timeout(deadline_s):
            while not await condition():  # noqa: ASYNC110 - another process makes it true
                await asyncio.sleep(0.01)
    except TimeoutError:
        pytest.fail(f"not within {deadline_s} s: {what}")


def test_a_document_that_cannot_be_embedded_becomes_a_dead_letter_after_five_tries(valkey: Valkey) -> None:
    tries: list[str] = []

    async def embed_all_but_poison(texts: Sequence[str]) -> list[list[float]]:
        tries.extend(texts)
        if "poison" in texts[0]:
            raise ValueError("no")
        return [[0.0] for _ in texts]

    async def scenario() -> tuple[Lengths, dict[bytes, bytes], int]:
        async with stream_of(valkey) as (stream, redis):
            await stream.ensure_group()
            await stream.publish(event("bad", 1, "poison"))
            await stream.publish(event("good", 2))
            await redis.xadd("ingest", {"event": "garbage"})
            async with running(Indexer(stream, shelf, shelf, embed_all_but_poison, LIMITS).run()):
                await until(lambda: _lengths_are(stream, Lengths(0, 2)), "one indexed, two dead")
            letters = await entries(redis, "ingest:dead")
            return await stream.lengths(), letters[-1], await redis.hlen("ingest:tries")

    shelf = Shelf()
    lengths, letter, tries_left = asyncio.run(scenario())
    assert (lengths, tries_left, letter[b"reason"]) == (Lengths(0, 2), 0, b"ValueError: no")
    assert IngestEvent.from_fields(letter) == event("bad", 1, "poison")
    assert (shelf.indexed, shelf.buried) == (["good"], [("bad", "ValueError: no")])
    assert tries.count("Title\npoison") == 5


def test_a_dead_letter_that_the_database_refuses_leaves_the_stream_all_the_same(valkey: Valkey) -> None:
    class Refusing(Shelf):
        async def bury(self, event: IngestEvent, reason: str) -> None:
            raise psycopg.DataError("no")

    async def embed(texts: Sequence[str]) -> list[list[float]]:
        if "poison" in texts[0]:
            raise ValueError("stumbled over \x00 and \ud800")
        return [[0.0] for _ in texts]

    async def scenario() -> bytes:
        async with stream_of(valkey) as (stream, redis):
            await stream.publish(event("bad", 1, "poison"))
            async with running(Indexer(stream, shelf, shelf, embed, LIMITS).run()):
                await until(lambda: _lengths_are(stream, Lengths(0, 1)), "one dead")
                await stream.publish(event("good", 2))
                await until(lambda: _lengths_are(stream, Lengths(0, 1)), "the next one indexed")
            return (await entries(redis, "ingest:dead"))[0][b"reason"]

    shelf = Refusing()
    assert asyncio.run(scenario()) == b"ValueError: stumbled over  and ?"
    assert shelf.indexed == ["good"]


async def _lengths_are(stream: IngestStream, expected: Lengths) -> bool:
    return await stream.lengths() == expected


def test_an_outage_is_waited_out_and_never_counts_against_the_document(valkey: Valkey) -> None:
    calls = 0

    async def embed_from_the_twelfth_call(texts: Sequence[str]) -> list[list[float]]:
        nonlocal calls
        calls += 1
        if calls < 12:
            raise EmbeddingUnavailableError("down")
        return [[0.0] for _ in texts]

    async def scenario() -> Lengths:
        async with stream_of(valkey) as (stream, _):
            await stream.publish(event("a", 1))
            async with running(Indexer(stream, shelf, shelf, embed_from_the_twelfth_call, LIMITS).run()):
                await until(lambda: _lengths_are(stream, Lengths(0, 0)), "indexed")
            return await stream.lengths()

    shelf = Shelf()
    assert asyncio.run(scenario()) == Lengths(0, 0)
    assert (calls, shelf.indexed, shelf.buried) == (12, ["a"], [])


def test_a_document_that_is_never_in_time_does_not_hold_up_the_others(valkey: Valkey) -> None:
    async def embed_the_quick(texts: Sequence[str]) -> list[list[float]]:
        if "slow" in texts[0] and "quick" not in shelf.indexed:
            raise EmbeddingUnavailableError("no answer in time")
        return [[0.0] for _ in texts]

    async def scenario() -> None:
        async with stream_of(valkey) as (stream, _):
            await stream.publish(event("slow", 1, "slow"))
            await stream.publish(event("quick", 2))
            async with running(Indexer(stream, shelf, shelf, embed_the_quick, replace(LIMITS, pauses_max=3)).run()):
                await until(lambda: _lengths_are(stream, Lengths(0, 0)), "both indexed")

    shelf = Shelf()
    asyncio.run(scenario())
    assert (shelf.indexed, shelf.buried) == (["quick", "slow"], [])


def test_work_of_a_consumer_that_died_is_taken_over_by_another(valkey: Valkey) -> None:
    async def embed_any(texts: Sequence[str]) -> list[list[float]]:
        return [[0.0] for _ in texts]

    async def scenario() -> None:
        async with stream_of(valkey, "document-1") as (dead, _), stream_of(valkey, "document-2") as (alive, _):
            await dead.ensure_group()
            await dead.publish(event("orphan", 1))
            assert [delivery.event for delivery in await dead.read_new(10, 50)] == [event("orphan", 1)]
            async with running(Indexer(alive, shelf, shelf, embed_any, LIMITS).run()):
                await until(lambda: _lengths_are(alive, Lengths(0, 0)), "taken over")

    shelf = Shelf()
    asyncio.run(scenario())
    assert shelf.indexed == ["orphan"]


def test_a_full_stream_refuses_and_drops_nothing(valkey: Valkey) -> None:
    async def scenario() -> Lengths:
        async with stream_of(valkey, entries_max=2) as (stream, _):
            for number in range(2):
                await stream.publish(event(f"d{number}", number))
            await stream.lengths()
            with pytest.raises(StreamFullError, match="2 events are unfinished"):
                await stream.publish(event("d3", 3))
            return await stream.lengths()

    assert asyncio.run(scenario()) == Lengths(2, 0)


@asynccontextmanager
async def pool_on(url: str) -> AsyncIterator[Pool]:
    pool = Pool(url, name="test")
    await pool.open()
    try:
        yield pool
    finally:
        await pool.close()


def chunks_of(event: IngestEvent, count: int) -> list[Chunk]:
    return [Chunk(f"{event.doc_id}#{number}", event.doc_id, number, f"{event.text} {number}") for number in range(count)]


def test_events_may_come_twice_late_and_in_any_order(schema_url: str) -> None:
    async def scenario() -> list[DocumentState | None]:
        async with pool_on(schema_url) as pool:
            store = DocumentStore(pool)
            old, new = event("d", 1), event("d", 2)
            assert await PgVectorStore(pool).index(new, chunks_of(new, 3), [vector("n")] * 3)
            await store.accept(new, "spooled")  # the row of an upload that was indexed meanwhile
            assert not await PgVectorStore(pool).index(old, chunks_of(old, 1), [vector("o")])
            await store.accept(old, "queued")
            await store.bury(old, "too old to matter")
            states = [await store.state("d")]
            newest = event("d", 3)
            await store.bury(newest, "cannot be embedded")
            states.append(await store.state("d"))
            new = replace(new, revision=4)
            assert await PgVectorStore(pool).index(new, chunks_of(new, 2), [vector("n")] * 2)
            return [*states, await store.state("d"), await store.state("unknown")]

    assert asyncio.run(scenario()) == [
        DocumentState("d", "indexed", 3),
        DocumentState("d", "dead", 3),
        DocumentState("d", "indexed", 2),
        None,
    ]
    with psycopg.connect(schema_url) as connection:
        assert connection.execute("SELECT chunk_id FROM chunks ORDER BY 1").fetchall() == [("d#0",), ("d#1",)]


def test_what_a_flushed_cache_lost_is_published_again(schema_url: str, valkey: Valkey, tmp_path: Path) -> None:
    async def scenario() -> list[IngestEvent | None]:
        async with stream_of(valkey) as (stream, redis), pool_on(schema_url) as pool:
            store = DocumentStore(pool)
            pace = IntakePace(reconcile_every_s=0.05, reconcile_age_s=0.0)
            intake = Intake(stream, Spool(tmp_path / "spool"), store, pace)
            assert await intake.accept("d", "Title", "Words.", "request") == "queued"
            await redis.flushall()
            await stream.ensure_group()
            async with running(intake.reconcile()):
                await until(lambda: _lengths_are(stream, Lengths(1, 0)), "published again")
                return [delivery.event for delivery in await stream.read_new(10, 50)]

    (found,) = asyncio.run(scenario())
    assert found is not None
    assert (found.doc_id, found.title, found.text) == ("d", "Title", "Words.")


def test_a_clock_set_back_does_not_make_an_upload_look_old(schema_url: str, valkey: Valkey, tmp_path: Path) -> None:
    ahead = time.time_ns() + 3_600 * 10**9

    async def scenario() -> list[IngestEvent]:
        async with stream_of(valkey) as (stream, _), pool_on(schema_url) as pool:
            store = DocumentStore(pool)
            before = event("d", ahead, "Before.")
            assert await PgVectorStore(pool).index(before, chunks_of(before, 1), [vector("b")])
            intake = Intake(stream, Spool(tmp_path / "spool"), store, IntakePace(reconcile_every_s=0.02))
            async with running(intake.reconcile()):
                await until(lambda: _accepted_as_newer(intake, store), "the latest revision is known")
            return await store.unsettled(0.0, 10)

    (found,) = asyncio.run(scenario())
    assert (found.text, found.revision > ahead) == ("After.", True)


async def _accepted_as_newer(intake: Intake, store: DocumentStore) -> bool:
    await intake.accept("d", "Title", "After.", "request")
    return await store.state("d") == DocumentState("d", "queued", 1)


def test_the_spool_is_driven_in_order_and_new_events_queue_up_behind_it(schema_url: str, valkey: Valkey, tmp_path: Path) -> None:
    async def scenario() -> list[str]:
        async with stream_of(valkey) as (stream, redis), pool_on(schema_url) as pool:
            store = DocumentStore(pool)
            intake = Intake(stream, Spool(tmp_path / "spool"), store, IntakePace(drive_pause_s=0.02))
            valkey.kill()
            statuses = [await intake.accept(f"d{number}", "t", "x", "r") for number in range(3)]
            await asyncio.to_thread(valkey.start)
            statuses.append(await intake.accept("d3", "t", "x", "r"))
            assert statuses == ["spooled"] * 4
            async with running(intake.redrive()):
                await until(lambda: _lengths_are(stream, Lengths(4, 0)), "spool driven")
                await until(lambda: _state_is(intake, "d3", "queued"), "row updated")
            statuses.append(await intake.accept("d4", "t", "x", "r"))
            assert statuses[-1] == "queued"
            return [IngestEvent.from_fields(fields).doc_id for fields in await entries(redis, "ingest")]

    assert asyncio.run(scenario()) == ["d0", "d1", "d2", "d3", "d4"]


async def _state_is(intake: Intake, doc_id: str, status: str) -> bool:
    state = await intake.state(doc_id)
    return state is not None and state.status == status
