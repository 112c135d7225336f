"""A database without room for another session: a process of ours holds all the connections that it has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from harness.faults.base import Evidence, FaultError, Undo
from harness.faults.beside import Beside
from harness.faults.database_client import DatabaseFault, connected, open_session
from harness.lazy import Lazy
from harness.scenario.catalog import FaultParameters, FaultSpec

if TYPE_CHECKING:
    import psycopg
else:
    psycopg = Lazy("psycopg")


class PoolParameters(FaultParameters):
    """Parameters of `database.pool_exhausted`."""

    oust: bool = Field(default=True, description="also end the sessions that services have, so that they must come back for new ones")


class DatabasePoolExhausted(DatabaseFault[PoolParameters]):
    """A job that leaks connections has taken all that the server has."""

    spec = FaultSpec(
        name="database.pool_exhausted",
        summary="Takes every connection that the server admits, and keeps them: services that need one are refused.",
        kind="pool",
        parameters=PoolParameters,
        targets=("service",),
        needs=(),
        evidence="a new session is refused with SQLSTATE 53300; gone: one is accepted, and none of those held is left",
        example="{id: no-slots, type: database.pool_exhausted, target: postgres, at: fault, for: 30s}",
        recoverable_by=("restart",),
        only_roles=("postgres",),
    )
    _holder: Beside | None = None

    def undo(self) -> Sequence[Undo]:
        return (Undo("terminate_named", {"argument": Beside.argument(self.name)}),)

    def inject(self) -> None:
        if self._holder is not None and self._holder.alive:
            return
        order = {"dsn": self.dsn, "name": self.name, "oust": self.parameters.oust, "ttl_s": self.context.ttl_s}
        self._holder = Beside("harness.faults.database_holder", self.name, order)

    def verify(self) -> Evidence | None:
        """Only a holder that is at work counts: a server may be full for other reasons."""
        if self._holder is None or not self._holder.alive:
            return None
        refusal = self._refusal()
        return None if refusal is None else {"sqlstate": "53300", "refusal": refusal, "held": self._holder.said("held")}

    def heal(self) -> None:
        if self._holder is not None:
            self._holder.end()
            self._holder = None

    def gone(self) -> Evidence | None:
        if self._refusal() is not None:
            return None
        with connected(self.dsn) as connection:
            row = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", (self.name,)).fetchone()
        return {"accepts_sessions": True, "held": 0} if row == (0,) else None

    def _refusal(self) -> str | None:
        """What a client is told that there is no room for; None where there is. Raises FaultError for another refusal."""
        try:
            open_session(self.dsn).close()
        except psycopg.OperationalError as error:
            # the state of a refused connection is not told by libpq before version 17: the server's words are
            if "too many" in str(error) or "remaining connection slots" in str(error):
                return str(error).strip()
            raise FaultError(f"the database: {str(error).strip()}") from error
        return None


FAULTS = (DatabasePoolExhausted,)
