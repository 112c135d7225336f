"""A slow disk: what an instance writes and waits for arrives at a trickle."""

from __future__ import annotations

from pydantic import Field

from harness.faults.base import Evidence, FaultError, act, capability
from harness.faults.resource import ResourceFault, elsewhere
from harness.scenario.catalog import FaultParameters, FaultSpec
from harness.stack.base import DiskLimitable

TRIAL_S = 0.4
"""What is written to see takes that long at the rate asked for."""
CLEARLY = 0.6  # of that, at least, must show
TIMES_SLOWER = 1.5  # than elsewhere on the same disk, at least
KB, MB = 1 << 10, 1 << 20


class DiskSlowParameters(FaultParameters):
    """Parameters of `resource.disk_slow`."""

    mb_per_s: float = Field(description="what the instance may write", ge=0.2, le=8.0, json_schema_extra={"unit": "MB/s"})


class DiskSlow(ResourceFault[DiskSlowParameters]):
    """The kernel bounds what the control group of the instance writes to the disk."""

    spec = FaultSpec(
        name="resource.disk_slow",
        summary="Bounds how fast one instance writes to its disk. Who syncs what it writes waits; who leaves that to the kernel does not.",
        kind="disk",
        parameters=DiskSlowParameters,
        targets=("service", "instance"),
        needs=("DiskLimitable", "Stressable"),
        evidence="a synced write beside the instance takes as long as the bound lets one expect, and longer than one elsewhere; "
        "gone: it does not",
        example="{id: trickle, type: resource.disk_slow, target: cache, at: fault, for: 30s, with: {mb_per_s: 0.5}}",
        recoverable_by=("scale", "failover"),
    )
    _slowed = False

    def inject(self) -> None:
        self._slowed = True
        self._limit(round(self.parameters.mb_per_s * MB))

    def verify(self) -> Evidence | None:
        beside_s, elsewhere_s = self._writes_s()
        if beside_s < CLEARLY * TRIAL_S or beside_s < TIMES_SLOWER * elsewhere_s:
            return None
        return {"instance": self.name, "kb": self._trial_kb, "beside_s": beside_s, "elsewhere_s": elsewhere_s}

    def heal(self) -> None:
        if self._slowed:
            self._limit(None)
            self._slowed = False

    def gone(self) -> Evidence | None:
        ready = self.ready()
        if ready is None or self._slowed:
            return None
        beside_s, elsewhere_s = self._writes_s()
        if beside_s >= CLEARLY * TRIAL_S and beside_s >= TIMES_SLOWER * elsewhere_s:
            return None
        return {**ready, "kb": self._trial_kb, "beside_s": beside_s, "elsewhere_s": elsewhere_s}

    @property
    def _trial_kb(self) -> int:
        return round(self.parameters.mb_per_s * TRIAL_S * KB)

    def _writes_s(self) -> tuple[float, float]:
        """Beside the instance, and elsewhere. Raises FaultError."""
        place = self.place()
        inside = self.attempt("write", kb=self._trial_kb, folder=place.data or ".")
        if inside is None:
            raise FaultError(f"a program beside {self.name} ended without a word")
        return inside["took_s"], elsewhere("write", kb=self._trial_kb, folder=place.directory or ".")["took_s"]

    def _limit(self, bytes_per_s: int | None) -> None:
        stack = capability(self.context.stack, DiskLimitable)
        act(f"slowing the disk of {self.name}", lambda: stack.limit_disk(self.name, bytes_per_s))


FAULTS = (DiskSlow,)
