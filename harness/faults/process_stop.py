"""An instance that is stopped in order, and stays down."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from harness.faults.base import Evidence, FaultError, Undo, act, capability
from harness.faults.process import InstanceFault
from harness.record.clock import NS_PER_S
from harness.scenario.catalog import FaultParameters, FaultSpec
from harness.scenario.model import Duration
from harness.stack.base import Stoppable
from harness.sweep import Found, identify, same_process


class StopParameters(FaultParameters):
    """Parameters of `process.stop`."""

    grace: Duration = Field(
        default=6.0, description="how long it may take to finish what it works on", ge=0.5, le=60.0, json_schema_extra={"unit": "duration"}
    )


class ProcessStop(InstanceFault[StopParameters]):
    """SIGTERM: the instance finishes what it works on and ends in order. It stays down, and callers still know its address."""

    spec = FaultSpec(
        name="process.stop",
        summary="Stops one instance in order (SIGTERM; what is in flight is finished); it stays down until somebody restarts it.",
        kind="crash",
        parameters=StopParameters,
        targets=("service", "instance"),
        needs=("Stoppable", "Restartable"),
        evidence="its process is gone before the grace was over, and the readiness probe fails; gone: the probe succeeds",
        example="{id: shut-down, type: process.stop, target: retrieval, at: fault, for: 30s}",
        recoverable_by=("restart", "scale", "failover"),
    )
    _process: Found | None = None
    _took_s: float | None = None

    def undo(self) -> Sequence[Undo]:
        return self.outliving("stop")

    def inject(self) -> None:
        if self._took_s is not None and self.context.stack.probe(self.instance()) is not None:
            return  # by our hand already
        pid = self.instance().pid
        self._process = identify(pid) if pid is not None else None
        start_ns = self.context.clock.now_ns()
        grace_s = self.parameters.grace
        act(f"stopping {self.name}", lambda: capability(self.context.stack, Stoppable).stop_instance(self.name, grace_s))
        self._took_s = (self.context.clock.now_ns() - start_ns) / NS_PER_S

    def verify(self) -> Evidence | None:
        reason = self.context.stack.probe(self.instance())
        if reason is None or self._took_s is None or (self._process is not None and same_process(self._process) is not None):
            return None
        if self._took_s >= self.parameters.grace:
            raise FaultError(f"{self.name} did not end within {self.parameters.grace:g} s and was killed: that was no stop in order")
        return {"instance": self.name, "pid": self._process.pid if self._process else None, "took_s": self._took_s, "probe": reason}

    def heal(self) -> None:
        self.restart_unless_ready()

    def gone(self) -> Evidence | None:
        return self.ready()


FAULTS = (ProcessStop,)
