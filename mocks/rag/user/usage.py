"""Usage by key and hour, in PostgreSQL."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from mocks.rag.common.db import Connection, Pool

# The lock keeps two instances from creating the table at once, which PostgreSQL answers with an error in spite of IF NOT EXISTS.
_SCHEMA = """
BEGIN;
SELECT pg_advisory_xact_lock(hashtext('key_usage'));
CREATE TABLE IF NOT EXISTS key_usage (
    key_id text NOT NULL,
    hour timestamptz NOT NULL,
    total bigint NOT NULL DEFAULT 0,
    succeeded bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    limited bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (key_id, hour)
);
COMMIT
"""

_ADD = """
INSERT INTO key_usage AS usage (key_id, hour, total, succeeded, failed, limited)
VALUES (%(key_id)s, date_trunc('hour', now()), %(total)s, %(succeeded)s, %(failed)s, %(limited)s)
ON CONFLICT (key_id, hour) DO UPDATE SET
    total = usage.total + excluded.total,
    succeeded = usage.succeeded + excluded.succeeded,
    failed = usage.failed + excluded.failed,
    limited = usage.limited + excluded.limited
RETURNING total, succeeded, failed, limited
"""

_THIS_HOUR = "SELECT total, succeeded, failed, limited FROM key_usage WHERE key_id = %s AND hour = date_trunc('hour', now())"


@dataclass(frozen=True)
class Usage:
    """Requests counted; `total` = succeeded + failed + limited."""

    total: int = 0
    succeeded: int = 0
    failed: int = 0
    limited: int = 0

    def as_dict(self) -> dict[str, int]:
        """As on the wire."""
        return asdict(self)


class UsageStore:
    """Counts usage; creates its table at the first use, so that the service starts while the database is away."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._has_table = False

    async def add(self, key_id: str, usage: Usage) -> Usage:
        """Add to the present hour; the hour's sums. Raises UpstreamError when the database is away."""
        async with self._pool.connection() as connection:
            await self._prepare(connection)
            cursor = await connection.execute(_ADD, {"key_id": key_id, **usage.as_dict()})
            row = await cursor.fetchone()
        assert row is not None  # RETURNING gives one row per row written
        return Usage(*row)

    async def this_hour(self, key_id: str) -> Usage:
        """The present hour's sums. Raises UpstreamError when the database is away."""
        async with self._pool.connection() as connection:
            await self._prepare(connection)
            cursor = await connection.execute(_THIS_HOUR, [key_id])
            row = await cursor.fetchone()
        return Usage(*row) if row is not None else Usage()

    async def _prepare(self, connection: Connection) -> None:
        if not self._has_table:
            await connection.execute(_SCHEMA)
            self._has_table = True
