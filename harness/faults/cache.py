"""The shared cache is away."""

from __future__ import annotations

from harness.faults.process import NoParameters
from harness.faults.store_down import StoreDown
from harness.scenario.catalog import FaultSpec


class CacheDown(StoreDown):
    """The cache crashes with all it held in memory."""

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


FAULTS = (CacheDown,)
