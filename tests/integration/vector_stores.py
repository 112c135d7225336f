"""Deployments of the reference stack's data: a database, and a vector store where it is a service of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from mocks.llm.hashing import embed
from mocks.rag.common.db import Pool
from mocks.rag.common.registry import Registry
from mocks.rag.document.chunking import Chunk
from mocks.rag.document.events import IngestEvent
from mocks.rag.vectorstore.base import VectorStore, VectorStoreName
from mocks.rag.vectorstore.choice import open_store
from tests.integration.backends import free_port
from tests.integration.services import REPOSITORY, ServiceProcess, write_registry

T = TypeVar("T")

VECTOR_TIMEOUT_S = 1.0
ADMIN_TOKEN = "admin-secret"


def vector(text: str) -> list[float]:
    """The provider's own embedding."""
    return [float(number) for number in embed(text, 384)]


def event(doc_id: str, revision: int, text: str = "Words.") -> IngestEvent:
    return IngestEvent(doc_id, "Title", text, revision, "request")


def chunks_of(event: IngestEvent, count: int) -> list[Chunk]:
    return [Chunk(f"{event.doc_id}#{number}", event.doc_id, number, f"{event.text} {number}") for number in range(count)]


async def indexed(store: VectorStore, doc_id: str, revision: int, text: str, chunks: int = 1) -> bool:
    one = event(doc_id, revision, text)
    parts = chunks_of(one, chunks)
    return await store.index(one, parts, [vector(part.text) for part in parts])


async def found(store: VectorStore, text: str) -> tuple[list[str], list[str]]:
    """The texts found by vector and by words, in alphabetical order."""
    by_vector = await store.by_vector(vector(text), 20)
    by_words = await store.by_words(text, 20)
    return sorted(one["text"] for one in by_vector), sorted(one["text"] for one in by_words)


class VectorProcess(ServiceProcess):
    """A mock vector service, which finds what it held when it is started again."""

    def __init__(self, name: VectorStoreName, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        profile = folder / "vector.json"
        profile.write_text(json.dumps({"persist_dir": "vectors"}))
        admin_port = free_port()
        environment = {"VECTOR_PROFILE": str(profile), "ADMIN_PORT": str(admin_port), "ADMIN_TOKEN": ADMIN_TOKEN}
        super().__init__("vector", environment, folder / "vector.log", ("mocks.vector", name))
        headers = {"authorization": f"Bearer {ADMIN_TOKEN}"}
        self._admin = httpx.Client(base_url=f"http://127.0.0.1:{admin_port}/admin", headers=headers, timeout=60, trust_env=False)

    @contextmanager
    def fault(self, **document: Any) -> Iterator[None]:
        """A fault in force, which must have hit something by the end."""
        put = self._admin.put("/faults/it", json=document)
        assert put.status_code == 200, put.text
        try:
            yield
            (view,) = self._admin.get("/faults").json()["faults"]
            assert view["applied"] > 0, view
        finally:
            assert self._admin.delete("/faults").status_code == 204

    def pause(self) -> None:
        """SIGSTOP."""
        self.send(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self.send(signal.SIGCONT)

    def close(self) -> None:
        if self.running:
            self.resume()
        super().close()
        self._admin.close()


@dataclass(frozen=True)
class Deployment:
    """Where the services of one deployment find each other."""

    name: VectorStoreName
    database_url: str
    registry: Path
    vector: VectorProcess | None

    @property
    def environment(self) -> dict[str, str]:
        return {"DATABASE_URL": self.database_url, "VECTOR_STORE": self.name, "REGISTRY_FILE": str(self.registry)}

    def lists(self, others: Mapping[str, Sequence[str]]) -> None:
        """Replace service discovery: the vector store, if any, and `others`."""
        own = {"vector": [self.vector.url]} if self.vector is not None else {}
        write_registry(self.registry, {**own, **others})

    def migrate(
        self, corpus: Sequence[Mapping[str, Any]] = (), environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """`python -m mocks.rag.migrate`, to its end."""
        file = self.registry.with_name("corpus.jsonl")
        file.write_text("".join(json.dumps(document) + "\n" for document in corpus))
        whole = {**os.environ, **self.environment, "CORPUS_FILE": str(file), **(environment or {})}
        command = [sys.executable, "-m", "mocks.rag.migrate"]
        return subprocess.run(command, cwd=REPOSITORY, env=whole, capture_output=True, text=True, check=False, timeout=60)

    @asynccontextmanager
    async def database(self) -> AsyncIterator[Pool]:
        """A pool on the database."""
        pool = Pool(self.database_url, name="test")
        await pool.open()
        try:
            yield pool
        finally:
            await pool.close()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[VectorStore]:
        """The store as a service has it, with a short patience."""
        async with self.database() as pool:
            store = open_store(self.name, pool, Registry(self.registry), timeout_s=VECTOR_TIMEOUT_S)
            try:
                yield store
            finally:
                await store.close()

    def run(self, use: Callable[[VectorStore], Awaitable[T]]) -> T:
        """What `use` returns, on a store that is opened for it."""

        async def scenario() -> T:
            async with self.opened() as store:
                return await use(store)

        return asyncio.run(scenario())


@contextmanager
def deployed(name: VectorStoreName, database_url: str, folder: Path) -> Iterator[Deployment]:
    """A deployment with an empty corpus."""
    process = None if name == "pgvector" else VectorProcess(name, folder / "vector")
    try:
        if process is not None:
            process.start()
        deployment = Deployment(name, database_url, folder / "registry.json", process)
        deployment.lists({})
        done = deployment.migrate()
        assert (done.returncode, done.stdout) == (0, '{"documents": 0, "chunks": 0}\n'), done.stderr
        yield deployment
    finally:
        if process is not None:
            process.close()
