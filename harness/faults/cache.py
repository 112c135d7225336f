"""Faults of the shared cache."""

from __future__ import annotations

from harness.faults import roundtrip
from harness.faults.base import Evidence
from harness.faults.process import NoParameters, ProcessKill
from harness.scenario.catalog import FaultSpec


class CacheDown(ProcessKill):
    """The cache crashes with all it held. It is not held down: a restart heals it, as it would in production."""

    spec = FaultSpec(
        name="cache.down",
        summary="Crashes the shared cache; it stays down, and empty afterwards, until somebody restarts it.",
        kind="crash",
        parameters=NoParameters,
        targets=("service",),
        needs=("Killable", "Restartable"),
        evidence="its pid is gone and PING is not answered; gone: PING is answered with PONG",
        example="{id: no-cache, type: cache.down, target: cache, at: fault, for: 40s}",
        recoverable_by=("restart",),
        only_services=("cache",),
    )

    def verify(self) -> Evidence | None:
        crashed = super().verify()
        refusal = self._ping()[1]
        return None if crashed is None or refusal is None else {**crashed, "ping": refusal}

    def gone(self) -> Evidence | None:
        ready = self.ready()
        round_trip_s, _ = self._ping()
        return None if ready is None or round_trip_s is None else {**ready, "ping_s": round_trip_s}

    def _ping(self) -> tuple[float | None, str | None]:
        """Seconds of a PING, or why it was not answered."""
        try:
            return roundtrip.once(roundtrip.of_url(self.instance().url), self.context.clock), None
        except roundtrip.RoundTripError as error:
            return None, str(error)


FAULTS = (CacheDown,)
