"""An instance that the kernel kills because it has reached the limit of its memory."""

from __future__ import annotations

from pydantic import Field

from harness.faults.base import Evidence, FaultError
from harness.faults.memory_look import kills
from harness.faults.resource import MB, ResourceFault
from harness.faults.resource_memory import kill_first
from harness.record.clock import NS_PER_S
from harness.scenario.catalog import FaultParameters, FaultSpec
from harness.sweep import Found, identify, same_process

KILLED_WITHIN_S = 15.0
POLL_S = 0.02


class OomKillParameters(FaultParameters):
    """Parameters of `process.oom_kill`."""

    memory_mb: int = Field(
        default=256, description="memory that the instance may use while the fault lasts; more than it needs to start", ge=64, le=65536,
        json_schema_extra={"unit": "MB"},
    )  # fmt: skip


class OomKill(ResourceFault[OomKillParameters]):
    """The memory that the instance may use is bounded and used up; the kernel chooses the instance."""

    spec = FaultSpec(
        name="process.oom_kill",
        summary="Bounds the memory of one instance and uses it up: the kernel kills the instance; it stays down until it is restarted.",
        kind="memory",
        parameters=OomKillParameters,
        targets=("service", "instance"),
        needs=("Limitable", "Stressable", "Placed", "Restartable"),
        evidence="the kernel has counted a kill for memory, its process is gone and the readiness probe fails; gone: the probe succeeds",
        example="{id: out-of-memory, type: process.oom_kill, target: retrieval-1, at: fault, for: 30s, with: {memory_mb: 256}}",
        recoverable_by=("restart", "scale", "failover"),
    )
    _victim: Found | None = None
    _kills_before = 0

    def inject(self) -> None:
        pid = self.instance().pid
        if pid is None and self._victim is not None:
            return  # killed already
        victim = identify(self.place().pid)
        if victim is None:
            raise FaultError(f"{self.name} does not run")
        self._kills_before = kills()
        self._victim = victim
        self.bound(memory_bytes=self.parameters.memory_mb * MB)
        kill_first(victim.pid)
        self.take("hold", mb=self.parameters.memory_mb + 1)
        self._await_end(victim)
        self.let_go()

    def verify(self) -> Evidence | None:
        reason = self.context.stack.probe(self.instance())
        killed = kills() - self._kills_before
        if reason is None or self._victim is None or same_process(self._victim) is not None or killed < 1:
            return None
        return {"instance": self.name, "pid": self._victim.pid, "kernel_kills": killed, "probe": reason}

    def heal(self) -> None:
        self.release()
        self.restart_unless_ready()

    def gone(self) -> Evidence | None:
        return self.ready()

    def _await_end(self, victim: Found) -> None:
        clock = self.context.clock
        deadline_ns = clock.now_ns() + round(KILLED_WITHIN_S * NS_PER_S)
        while same_process(victim) is not None:
            if clock.now_ns() > deadline_ns:
                raise FaultError(f"the kernel has not killed {self.name} within {KILLED_WITHIN_S:g} s")
            clock.sleep(POLL_S)


FAULTS = (OomKill,)
