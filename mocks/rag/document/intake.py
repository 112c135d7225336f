"""Accepting documents: onto the stream, else into the spool, else not at all.

A document is accepted once its event is safe: appended to the stream, or synced to disk while the cache is down. Its row in the
database comes after that and may be missing for a while; with cache *and* database down nothing is accepted, for nobody could be told
what became of it. While anything waits in the spool new events queue up behind it, so that they reach the stream in order.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
from redis.exceptions import RedisError

from mocks.rag.common.errors import ApiError, UpstreamError
from mocks.rag.common.log import get_logger
from mocks.rag.common.metrics import INGEST, QUEUE_LENGTH
from mocks.rag.common.redis_client import cache_call
from mocks.rag.document.events import IngestEvent, MalformedEventError
from mocks.rag.document.spool import Spool, SpoolFullError
from mocks.rag.document.store import DocumentState, DocumentStore, Status
from mocks.rag.document.stream import IngestStream, StreamFullError

RETRY_AFTER_S = 2
RECONCILE_BATCH = 200
_ROWLESS_MAX = 10_000

_STREAM_AWAY = (RedisError, StreamFullError, OSError)
_DATABASE_AWAY = (UpstreamError, psycopg.Error)


@dataclass(frozen=True)
class IntakePace:
    """Seconds between looks; `reconcile_age_s`: how long a document may wait before it is thought lost."""

    drive_pause_s: float = 0.5
    reconcile_every_s: float = 5.0
    reconcile_age_s: float = 10.0
    lengths_every_s: float = 1.0


class Intake:
    """`accept` for the route; `redrive`, `reconcile` and `watch_lengths` run beside it until they are cancelled."""

    def __init__(self, stream: IngestStream, spool: Spool, store: DocumentStore, pace: IntakePace | None = None) -> None:
        self._stream = stream
        self._spool = spool
        self._store = store
        self._pace = pace or IntakePace()
        self._spool_lock = asyncio.Lock()
        self._spooled = asyncio.Event()
        self._last_revision = 0
        self._rowless: dict[str, None] = {}  # an ordered set
        self._log = get_logger("intake")
        self._spool_changed()

    async def accept(self, doc_id: str, title: str, text: str, request_id: str) -> Status:
        """Raises ApiError 503 when nothing could be kept."""
        event = IngestEvent(doc_id, title, text, self._next_revision(), request_id)
        published = not len(self._spool) and await self._published(event)
        if published:
            await self._note_queued(event)
        else:
            await self._keep_on_disk(event)
        INGEST.labels("accepted").inc()
        return "queued" if published else "spooled"

    async def state(self, doc_id: str) -> DocumentState | None:
        """The document's state; one that was accepted while the database was down has its row only once it is indexed."""
        state = await self._store.state(doc_id)
        if state is not None:
            self._rowless.pop(doc_id, None)
        elif doc_id in self._rowless:
            return DocumentState(doc_id, "queued", 0)
        return state

    async def redrive(self) -> None:
        """Moves the spool to the stream, oldest first, whenever there is something in it and the cache answers."""
        while True:
            await self._spooled.wait()
            if await self._drive_all():
                self._log.info("spool is empty again")
            else:
                await asyncio.sleep(self._pace.drive_pause_s)

    async def reconcile(self) -> None:
        """Publishes again what the stream has lost: documents that wait although stream and spool are empty.

        A cache that is restarted without its data, or flushed, takes acknowledged entries with it; the database still knows them.
        It also knows the latest revision, should the clock have been set back since.
        """
        while True:
            with suppress(*_DATABASE_AWAY, *_STREAM_AWAY):
                self._last_revision = max(self._last_revision, await self._store.latest_revision())
                lost = await self._lost()
                for event in lost:
                    await self._stream.publish(event)
                if lost:
                    self._log.warning("published again what the stream had lost", documents=len(lost))
            await asyncio.sleep(self._pace.reconcile_every_s)

    async def watch_lengths(self) -> None:
        """Keeps `rag_queue_length` and the stream's own limit up to date."""
        while True:
            with suppress(*_STREAM_AWAY):
                with cache_call():
                    lengths = await self._stream.lengths()
                QUEUE_LENGTH.labels("ingest").set(lengths.ingest)
                QUEUE_LENGTH.labels("dead").set(lengths.dead)
            await asyncio.sleep(self._pace.lengths_every_s)

    async def _published(self, event: IngestEvent) -> bool:
        try:
            with cache_call():
                await self._stream.publish(event)
        except _STREAM_AWAY as error:
            self._log.warning("event goes to the spool", doc_id=event.doc_id, error=f"{type(error).__name__}: {error}")
            return False
        return True

    async def _note_queued(self, event: IngestEvent) -> None:
        try:
            await self._store.accept(event, "queued")
        except _DATABASE_AWAY as error:
            self._log.warning("row of an accepted document is late", doc_id=event.doc_id, error=f"{type(error).__name__}: {error}")
            self._note_rowless(event.doc_id)

    async def _keep_on_disk(self, event: IngestEvent) -> None:
        file = await self._append_to_spool(event)
        try:
            await self._store.accept(event, "spooled")
        except _DATABASE_AWAY as error:
            await self._remove_from_spool(file)
            raise _not_accepted("neither the queue nor the database can be reached") from error
        INGEST.labels("spooled").inc()

    async def _append_to_spool(self, event: IngestEvent) -> Path:
        async with self._spool_lock:
            try:
                file = await asyncio.to_thread(self._spool.append, event)
            except (SpoolFullError, OSError) as error:
                raise _not_accepted(f"the queue cannot be reached, and the spool refuses: {error}") from error
            self._spool_changed()
        return file

    async def _remove_from_spool(self, file: Path) -> None:
        async with self._spool_lock:
            await asyncio.to_thread(self._spool.remove, file)
            self._spool_changed()

    async def _drive_all(self) -> bool:
        """True when the spool is empty."""
        for path in await asyncio.to_thread(self._spool.waiting):
            try:
                event = await asyncio.to_thread(self._spool.read, path)
            except MalformedEventError as error:
                self._log.error("file in the spool is no event", file=path.name, error=str(error))
                async with self._spool_lock:
                    await asyncio.to_thread(self._spool.reject, path)
                    self._spool_changed()
                continue
            except FileNotFoundError:  # its document was not accepted after all, and taken back
                continue
            if not await self._published(event):
                return False
            await self._remove_from_spool(path)
            with suppress(*_DATABASE_AWAY):  # the row says `spooled` a little longer, until it is indexed
                await self._store.left_spool(event)
        return not len(self._spool)

    async def _lost(self) -> list[IngestEvent]:
        if len(self._spool) or (await self._stream.lengths()).ingest:
            return []
        return await self._store.unsettled(self._pace.reconcile_age_s, RECONCILE_BATCH)

    def _spool_changed(self) -> None:
        QUEUE_LENGTH.labels("spool").set(len(self._spool))
        if len(self._spool):
            self._spooled.set()
        else:
            self._spooled.clear()

    def _note_rowless(self, doc_id: str) -> None:
        while len(self._rowless) >= _ROWLESS_MAX:
            self._rowless.pop(next(iter(self._rowless)))
        self._rowless[doc_id] = None

    def _next_revision(self) -> int:
        """Wall-clock microseconds, but never back: revisions must grow over restarts of this service too.

        They stay below 2**53, so that a vector store that compares numbers as doubles tells neighbours apart.
        """
        self._last_revision = max(time.time_ns() // 1_000, self._last_revision + 1)
        return self._last_revision


def _not_accepted(reason: str) -> ApiError:
    return ApiError(503, "ingest_unavailable", reason, {"retry-after": str(RETRY_AFTER_S)})
