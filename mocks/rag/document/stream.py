"""The Redis stream `ingest`: a consumer group, acknowledgement, counted retries, dead letters.

Entries are deleted when they are acknowledged and by nothing else, so the stream's length is the work left, and no limit on its length
can ever drop an event that is not done. A stream as long as `entries_max` refuses new events instead (`StreamFullError`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from mocks.rag.document.events import IngestEvent, MalformedEventError

STREAM = "ingest"
GROUP = "indexers"
DEAD_STREAM = "ingest:dead"
TRIES = "ingest:tries"
DEAD_ENTRIES_MAX = 10_000
ENTRIES_MAX = 20_000


class StreamFullError(Exception):
    """The stream holds as many unfinished events as it may."""


@dataclass(frozen=True)
class Delivery:
    """An entry of the stream; `event` is None when its bytes are no event (`problem` says why)."""

    entry_id: bytes
    fields: Mapping[bytes, bytes]
    event: IngestEvent | None
    problem: str = ""


@dataclass(frozen=True)
class Lengths:
    """Entries left to do, and dead letters."""

    ingest: int
    dead: int


class IngestStream:
    """All methods raise `redis.RedisError` while the cache does not answer.

    `commands` should have short timeouts; `reader` blocks for up to `block_ms`, its socket timeout must be longer.
    """

    def __init__(self, commands: Redis, reader: Redis, consumer: str, entries_max: int = ENTRIES_MAX) -> None:
        self._commands = commands
        self._reader = reader
        self._consumer = consumer
        self._entries_max = entries_max
        self._length = 0

    async def ensure_group(self) -> None:
        """Creates stream and group where they are missing: a first start, or a cache that lost its data."""
        try:
            await self._commands.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    async def publish(self, event: IngestEvent) -> None:
        """Appends. A timeout leaves open whether it was appended; sending it twice is harmless. Raises `StreamFullError`."""
        if self._length >= self._entries_max:
            raise StreamFullError(f"{self._length} events are unfinished")
        await self._commands.xadd(STREAM, {"event": event.to_json()})

    async def own_pending(self, count: int) -> list[Delivery]:
        """What this consumer was given before and has not acknowledged: after a restart, the work in hand."""
        return _deliveries(await self._reader.xreadgroup(GROUP, self._consumer, {STREAM: "0"}, count=count))

    async def read_new(self, count: int, block_ms: int) -> list[Delivery]:
        """The next entries nobody was given yet; empty after `block_ms` without one."""
        return _deliveries(await self._reader.xreadgroup(GROUP, self._consumer, {STREAM: ">"}, count=count, block=block_ms))

    async def claim_stale(self, idle_ms: int, count: int) -> list[Delivery]:
        """Takes over entries given to any consumer at least `idle_ms` ago: failed tries, and work of a consumer that died."""
        answer = await self._commands.xautoclaim(STREAM, GROUP, self._consumer, min_idle_time=idle_ms, count=count)
        return [_delivery(entry_id, fields) for entry_id, fields in answer[1]]

    async def count_try(self, delivery: Delivery) -> int:
        """Notes a failed try; returns how many there were. Kept beside the stream, so that a restart does not forget them."""
        return int(await self._commands.hincrby(TRIES, delivery.entry_id, 1))

    async def done(self, delivery: Delivery) -> None:
        """Acknowledges and deletes."""
        async with self._commands.pipeline(transaction=True) as pipeline:
            _remove(pipeline, delivery)
            await pipeline.execute()

    async def bury(self, delivery: Delivery, reason: str) -> None:
        """Moves the entry to the dead letters, in one transaction."""
        async with self._commands.pipeline(transaction=True) as pipeline:
            letter: dict[Any, Any] = {**delivery.fields, b"entry_id": delivery.entry_id, b"reason": reason.encode()}
            pipeline.xadd(DEAD_STREAM, letter, maxlen=DEAD_ENTRIES_MAX, approximate=True)
            _remove(pipeline, delivery)
            await pipeline.execute()

    async def lengths(self) -> Lengths:
        """How much is left to do; also what `publish` goes by."""
        async with self._commands.pipeline(transaction=False) as pipeline:
            pipeline.xlen(STREAM)
            pipeline.xlen(DEAD_STREAM)
            self._length, dead = await pipeline.execute()
        return Lengths(self._length, dead)


def _remove(pipeline: Any, delivery: Delivery) -> None:
    pipeline.xack(STREAM, GROUP, delivery.entry_id)
    pipeline.xdel(STREAM, delivery.entry_id)
    pipeline.hdel(TRIES, delivery.entry_id)


def _deliveries(answer: Iterable[Any] | None) -> list[Delivery]:
    """Of an XREADGROUP over one stream: `[[name, [(id, fields), …]]]`, or None when nothing came in time."""
    return [_delivery(entry_id, fields) for _, entries in answer or () for entry_id, fields in entries]


def _delivery(entry_id: bytes, fields: Mapping[bytes, bytes] | None) -> Delivery:
    fields = fields or {}  # None: deleted by hand while pending
    try:
        return Delivery(entry_id, fields, IngestEvent.from_fields(fields))
    except MalformedEventError as error:
        return Delivery(entry_id, fields, None, str(error))
