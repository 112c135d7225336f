"""Faults that go on: an instance that dies whenever it is started, and one that is restarted all the time."""

from __future__ import annotations

from contextlib import suppress

import psutil
from pydantic import Field

from harness.faults.again import Again
from harness.faults.base import Context, Evidence, FaultError, Target, capability
from harness.faults.process import InstanceFault
from harness.faults.undo import process_tree
from harness.record.clock import NS_PER_S
from harness.scenario.catalog import FaultParameters, FaultSpec
from harness.scenario.model import Duration
from harness.stack.base import Killable, Placed, Restartable, StackError
from harness.sweep import Found, identify, same_process

LOOK_EVERY_S = 0.05
DEATHS_WANTED = 2
RESTARTS_WANTED = 2
STEADY_MARGIN_S = 0.3


class CrashLoopParameters(FaultParameters):
    """Parameters of `process.crash_loop`."""

    alive: Duration = Field(
        default=0.3, description="how long it lives after each start", ge=0.05, le=30.0, json_schema_extra={"unit": "duration"}
    )
    back_off: Duration = Field(
        default=1.0, description="how long until it is started again, as an orchestrator does", ge=0.1, le=60.0,
        json_schema_extra={"unit": "duration"},
    )  # fmt: skip


class CrashLoop(InstanceFault[CrashLoopParameters]):
    """It is started again and again, by us as an orchestrator would and by whoever else tries, and dies soon after each start."""

    spec = FaultSpec(
        name="process.crash_loop",
        summary="Lets one instance die soon after every start, whoever starts it; it is started again after a while, by an orchestrator.",
        kind="crash",
        parameters=CrashLoopParameters,
        targets=("service", "instance"),
        needs=("Placed", "Restartable"),
        evidence="several processes of it have come and gone, each soon after its start; gone: the probe succeeds, and nothing starts it",
        example="{id: crash-loop, type: process.crash_loop, target: retrieval-1, at: fault, for: 30s, with: {alive: 500ms, back_off: 2s}}",
        recoverable_by=("scale", "failover"),  # a restart only makes it die once more
    )

    def __init__(self, target: Target, parameters: CrashLoopParameters, context: Context) -> None:
        super().__init__(target, parameters, context)
        self._seen: dict[Found, int] = {}  # since when
        self._loops: tuple[Again, ...] = ()

    def inject(self) -> None:
        if self._loops:
            return
        self._seen = {}
        # One would not do: a restart returns only when the instance is ready, or dead.
        self._loops = (Again(f"the end of {self.name}", self._end), Again(f"the start of {self.name}", self._start))

    def verify(self) -> Evidence | None:
        dead = [found.pid for found in list(self._seen) if same_process(found) is None]
        if not self._loops or len(dead) < DEATHS_WANTED:
            return None
        reason = self.context.stack.probe(self.instance())
        return None if reason is None else {"instance": self.name, "started": len(self._seen), "died": len(dead), "probe": reason}

    def heal(self) -> None:
        for loop in self._loops:
            loop.end()  # the killer first: the other one then succeeds at last
        self._loops = ()
        self.restart_unless_ready()

    def gone(self) -> Evidence | None:
        return None if self._loops else self.ready()

    def _end(self) -> float:
        """Kill what is old enough, whoever has started it."""
        with suppress(StackError, FaultError):  # it does not run
            found = identify(capability(self.context.stack, Placed).place(self.name).pid)
            now_ns = self.context.clock.now_ns()
            if found is not None and now_ns - self._seen.setdefault(found, now_ns) >= self.parameters.alive * NS_PER_S:
                kill_tree(found)
        return LOOK_EVERY_S

    def _start(self) -> float:
        with suppress(StackError, FaultError):  # it has died before it was ready
            if self.instance().pid is None:
                capability(self.context.stack, Restartable).restart(self.name)
        return self.parameters.back_off


class RestartStormParameters(FaultParameters):
    """Parameters of `process.restart_storm`."""

    every: Duration = Field(
        default=5.0, description="from the end of one restart to the next", ge=0.5, le=10.0, json_schema_extra={"unit": "duration"}
    )


class RestartStorm(InstanceFault[RestartStormParameters]):
    """The instance works, but is killed and started again all the time: a liveness probe that is too strict, an eager orchestrator."""

    spec = FaultSpec(
        name="process.restart_storm",
        summary="Kills and restarts one instance again and again: it is ready in between.",
        kind="crash",
        parameters=RestartStormParameters,
        targets=("service", "instance"),
        needs=("Killable", "Restartable"),
        evidence="looks find one process of it after another; gone: they find one and the same for longer than `every`, and ready",
        example="{id: flapping, type: process.restart_storm, target: retrieval-1, at: fault, for: 40s, with: {every: 5s}}",
        recoverable_by=("scale", "failover"),
    )

    def __init__(self, target: Target, parameters: RestartStormParameters, context: Context) -> None:
        super().__init__(target, parameters, context)
        self._storm: Again | None = None
        self._pids: list[int] = []  # that looks have found, one after the other
        self._since_ns = 0  # the latest

    def inject(self) -> None:
        if self._storm is None:
            self._pids = []
            self._look()
            self._storm = Again(f"restarts of {self.name}", self._restart)

    def verify(self) -> Evidence | None:
        self._look()
        restarts = len(self._pids) - 1
        return (
            {"instance": self.name, "pids": " ".join(map(str, self._pids)), "restarts": restarts} if restarts >= RESTARTS_WANTED else None
        )

    def heal(self) -> None:
        storm, self._storm = self._storm, None
        if storm is not None:
            storm.end()
        self.restart_unless_ready()

    def gone(self) -> Evidence | None:
        self._look()
        ready = self.ready()
        steady_s = (self.context.clock.now_ns() - self._since_ns) / NS_PER_S
        return None if ready is None or steady_s < self.parameters.every + STEADY_MARGIN_S else {**ready, "steady_s": steady_s}

    def _look(self) -> None:
        pid = self.instance().pid
        if pid is None or (self._pids and self._pids[-1] == pid):
            return
        self._pids.append(pid)
        self._since_ns = self.context.clock.now_ns()

    def _restart(self) -> float:
        with suppress(StackError):  # killed by somebody else, or not ready in time: it is restarted again anyhow
            if self.instance().pid is not None:
                capability(self.context.stack, Killable).kill(self.name)
            capability(self.context.stack, Restartable).restart(self.name)
        return self.parameters.every


def kill_tree(found: Found) -> None:
    """End a process and its descendants at once, if it is still that very one."""
    root = same_process(found)
    for process in process_tree(root.pid) if root is not None else ():
        with suppress(psutil.NoSuchProcess):
            process.kill()


FAULTS = (CrashLoop, RestartStorm)
"""In the order in which they are listed."""
