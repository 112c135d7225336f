"""The subscriber: takes events from the stream, chunks, embeds, stores, acknowledges.

Failures are of two kinds. When the database, the vector store or the embedding service is away, nothing is wrong with the document: the
subscriber waits, and after `pauses_max` waits takes up the next event, so that one that is never in time cannot hold up the others; the
first one comes back, however often it takes. When the document itself cannot be indexed, the try is counted, the event stays pending and
comes back after `retry_idle_ms`; after `tries_max` tries it becomes a dead letter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from redis.exceptions import RedisError

from mocks.rag.common.context import enter, leave, new_context
from mocks.rag.common.errors import UpstreamError
from mocks.rag.common.log import get_logger
from mocks.rag.common.metrics import INGEST
from mocks.rag.document.chunking import Chunk, chunk_document
from mocks.rag.document.embedding import EmbeddingUnavailableError
from mocks.rag.document.events import IngestEvent
from mocks.rag.document.storable import storable
from mocks.rag.document.stream import Delivery, IngestStream

_OUTAGES = (EmbeddingUnavailableError, UpstreamError)

Embed = Callable[[Sequence[str]], Awaitable[list[list[float]]]]


class Index(Protocol):
    """Where chunks go (`VectorStore`)."""

    async def index(self, event: IngestEvent, chunks: Sequence[Chunk], vectors: Sequence[Sequence[float]]) -> bool:
        """False when a newer revision is there."""


class Ledger(Protocol):
    """Where it is noted what became of a document (`DocumentStore`)."""

    async def bury(self, event: IngestEvent, reason: str) -> None:
        """Marks a document that cannot be indexed."""


@dataclass(frozen=True)
class IndexerLimits:
    """`retry_idle_ms` must exceed the time one event takes, or a second replica would take events out of this one's hands."""

    batch: int = 16
    block_ms: int = 1_000
    retry_idle_ms: int = 3_000
    tries_max: int = 5
    pause_first_s: float = 0.1
    pause_max_s: float = 2.0
    pauses_max: int = 20


class Indexer:
    """`run` until it is cancelled."""

    def __init__(self, stream: IngestStream, index: Index, ledger: Ledger, embed: Embed, limits: IndexerLimits | None = None) -> None:
        self._stream = stream
        self._index = index
        self._ledger = ledger
        self._embed = embed
        self._limits = limits or IndexerLimits()
        self._log = get_logger("indexer")

    async def run(self) -> None:
        """Never ends by itself; a cache that is away is waited for."""
        pause = Pause(self._limits)
        while True:
            try:
                await self._subscribe(pause)
            except RedisError as error:
                self._log.warning("ingest stream is away", error=f"{type(error).__name__}: {error}")
                await pause.sleep()

    async def _subscribe(self, pause: Pause) -> None:
        """From (re)connecting on: first the work in hand, then new events, and now and then those that failed."""
        await self._stream.ensure_group()
        pause.reset()
        while deliveries := await self._stream.own_pending(self._limits.batch):
            settled = [await self._settle(delivery) for delivery in deliveries]
            if not all(settled):
                break  # what failed stays pending; it comes back through claim_stale
        while True:
            for delivery in await self._stream.claim_stale(self._limits.retry_idle_ms, self._limits.batch):
                await self._settle(delivery)
            for delivery in await self._stream.read_new(self._limits.batch, self._limits.block_ms):
                await self._settle(delivery)

    async def _settle(self, delivery: Delivery) -> bool:
        """Index under the id of the request that brought the document; True when the entry is off the stream."""
        if delivery.event is None:
            await self._stream.bury(delivery, f"malformed: {delivery.problem}")
            self._count_dead(delivery, delivery.problem)
            return True
        token = enter(new_context(delivery.event.request_id, None))
        try:
            return await self._index_patiently(delivery, delivery.event)
        finally:
            leave(token)

    async def _index_patiently(self, delivery: Delivery, event: IngestEvent) -> bool:
        pause = Pause(self._limits)
        for _ in range(self._limits.pauses_max):
            try:
                await self._index_event(event)
            except _OUTAGES as error:
                INGEST.labels("retried").inc()
                self._log.warning("waiting to index", doc_id=event.doc_id, error=f"{type(error).__name__}: {error}")
                await pause.sleep()
            except Exception as error:  # noqa: BLE001 - whatever a document provokes must end as a dead letter, not end the subscriber
                return await self._failed(delivery, event, _reason(error))
            else:
                await self._stream.done(delivery)
                return True
        return False

    async def _index_event(self, event: IngestEvent) -> None:
        chunks = chunk_document(event.doc_id, event.title, event.text)
        vectors = await self._embed([chunk.text for chunk in chunks])
        if await self._index.index(event, chunks, vectors):
            INGEST.labels("indexed").inc()
            self._log.info("indexed", doc_id=event.doc_id, chunks=len(chunks))

    async def _failed(self, delivery: Delivery, event: IngestEvent, reason: str) -> bool:
        tries = await self._stream.count_try(delivery)
        if tries < self._limits.tries_max:
            INGEST.labels("retried").inc()
            self._log.warning("indexing failed", doc_id=event.doc_id, tries=tries, error=reason)
            return False
        try:
            await self._ledger.bury(event, reason)
        except _OUTAGES as error:  # the next claim buries it
            self._log.warning("dead letter waits for the database", doc_id=event.doc_id, error=str(error))
            return False
        except Exception as error:  # noqa: BLE001 - a document that cannot even be noted as dead must leave the stream all the same
            self._log.error("dead letter without a row", doc_id=event.doc_id, error=_reason(error))
        await self._stream.bury(delivery, reason)
        self._count_dead(delivery, reason)
        return True

    def _count_dead(self, delivery: Delivery, reason: str) -> None:
        INGEST.labels("dead").inc()
        self._log.error("dead letter", entry_id=delivery.entry_id.decode(), reason=reason)


def _reason(error: Exception) -> str:
    """As the dead letter and the row keep it; errors quote what they stumbled over."""
    return storable(f"{type(error).__name__}: {error}")


class Pause:
    """Growing waits between looks at something that is away."""

    def __init__(self, limits: IndexerLimits) -> None:
        self._limits = limits
        self._next_s = limits.pause_first_s

    async def sleep(self) -> None:
        """Waits; the next wait is twice as long, up to the limit."""
        duration_s, self._next_s = self._next_s, min(self._next_s * 2, self._limits.pause_max_s)
        await asyncio.sleep(duration_s)

    def reset(self) -> None:
        """Back to the first wait."""
        self._next_s = self._limits.pause_first_s
