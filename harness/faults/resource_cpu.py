"""Faults of processors: an instance must share them, may use little of them, or has nobody free to serve."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import psutil
from pydantic import Field, model_validator

from harness.faults import roundtrip
from harness.faults.base import Evidence, FaultError, Parameters, Undo
from harness.faults.process import tree_states
from harness.faults.resource import ResourceFault, elsewhere
from harness.faults.undo import process_tree
from harness.scenario.catalog import FaultParameters, FaultSpec
from harness.scenario.model import Duration
from harness.sweep import identify

CLEARLY = 1.5
"""So many times as long as elsewhere, at least, the same work must take beside the instance."""
OF_THE_QUOTA = 0.6  # of what the quota lets one expect, at least, must show


class ProcessorFault(ResourceFault[Parameters]):
    """How much it bites is told by the same work done beside the instance and elsewhere on this machine."""

    work_s = 0.05

    def slower(self) -> Mapping[str, float]:
        """Seconds for one second of work: `beside` the instance, `elsewhere`, and how many times as long that is. Raises FaultError."""
        outside = elsewhere("spin", cpu_s=self.work_s)
        inside = self.attempt("spin", cpu_s=self.work_s)
        if inside is None:
            raise FaultError(f"a program beside {self.name} ended without a word")
        beside, apart = inside["wall_s"] / inside["cpu_s"], outside["wall_s"] / outside["cpu_s"]
        return {"beside": beside, "elsewhere": apart, "ratio": beside / apart}

    def gone(self) -> Evidence | None:
        ready = self.ready()
        if ready is None or self.taking:
            return None
        measured = self.slower()
        return None if measured["ratio"] >= CLEARLY else {**ready, **_named(measured)}


class CpuStressParameters(FaultParameters):
    """Parameters of `resource.cpu_stress`."""

    workers: int = Field(default=4, description="programs that use all they get", ge=2, le=64, json_schema_extra={"unit": "processes"})
    cpus: float = Field(
        default=1.0, description="processors that they and the instance have together", ge=0.1, le=32.0,
        json_schema_extra={"unit": "processors"},
    )  # fmt: skip

    @model_validator(mode="after")
    def _are_enough(self) -> CpuStressParameters:
        if self.workers < 2 * self.cpus:
            raise ValueError("workers must be at least twice the processors, or there would be enough for all")
        return self


class CpuStress(ProcessorFault[CpuStressParameters]):
    """Programs beside the instance want all the time of the processors that it may use."""

    spec = FaultSpec(
        name="resource.cpu_stress",
        summary="Runs programs beside one instance that burn the processors it may use; they end with it. "
        "Where it cannot be limited, it is pinned to one processor together with them.",
        kind="cpu",
        parameters=CpuStressParameters,
        targets=("service", "instance"),
        needs=("Stressable", "Placed"),
        evidence="the same work takes clearly longer beside the instance than elsewhere; gone: it takes as long, and the programs are gone",
        example="{id: noisy-neighbour, type: resource.cpu_stress, target: retrieval-1, at: fault, for: 30s, with: {workers: 4}}",
        recoverable_by=("restart", "scale", "failover"),
    )
    _pinned: Mapping[int, list[int]] = {}

    def undo(self) -> Sequence[Undo]:
        return (Undo("terminate_named", {"argument": self.word}),)

    def inject(self) -> None:
        if self.taking:
            return
        if "Limitable" in self.context.stack.info.capabilities:
            self.bound(cpus=self.parameters.cpus)
        else:
            self._pin()
        self.take("burn", workers=self.parameters.workers)

    def verify(self) -> Evidence | None:
        if not self.taking:
            return None
        measured = self.slower()
        if measured["ratio"] < CLEARLY:
            return None
        assert self._beside is not None, "it is taking"
        burnt_s = sum(sum(process.cpu_times()[:2]) for process in process_tree(self._beside.pid))
        return {"instance": self.name, **_named(measured), "burnt_cpu_s": burnt_s}

    def heal(self) -> None:
        self.release()
        for pid, processors in self._pinned.items():
            with suppress(ProcessLookupError):
                os.sched_setaffinity(pid, processors)
        self._pinned = {}

    def _pin(self) -> None:
        """The instance, and with it what will run beside it, to the first processor it may use: as good as a limit of one."""
        pinned = {}
        for process in process_tree(self.place().pid):
            with suppress(psutil.NoSuchProcess, ProcessLookupError):
                pinned[process.pid] = sorted(os.sched_getaffinity(process.pid))
                os.sched_setaffinity(process.pid, pinned[process.pid][:1])
        self._pinned = pinned


class CpuThrottleParameters(FaultParameters):
    """Parameters of `resource.cpu_throttle`."""

    cpus: float = Field(
        description="processors that the instance may use", ge=0.02, le=0.4, json_schema_extra={"unit": "processors"}
    )  # more would hardly show in an instance that waits most of its time


class CpuThrottle(ProcessorFault[CpuThrottleParameters]):
    """The kernel lets the instance run for a part of every 100 ms only."""

    spec = FaultSpec(
        name="resource.cpu_throttle",
        summary="Lets one instance use only that much of a processor (a quota of its control group).",
        kind="cpu",
        parameters=CpuThrottleParameters,
        targets=("service", "instance"),
        needs=("Limitable", "Stressable"),
        evidence="work beside the instance, under the same quota, takes longer than elsewhere, as the quota lets one expect; gone: as long",
        example="{id: throttled, type: resource.cpu_throttle, target: retrieval-1, at: fault, for: 30s, with: {cpus: 0.02}}",
        recoverable_by=("scale", "failover"),
    )

    @property
    def work_s(self) -> float:  # type: ignore[override]  # two to three periods of the kernel's, whatever the quota
        return max(0.01, 0.25 * self.parameters.cpus)

    def inject(self) -> None:
        if self._limits is None:
            self.bound(cpus=self.parameters.cpus)

    def verify(self) -> Evidence | None:
        measured = self.slower()
        if measured["ratio"] < CLEARLY or measured["beside"] < OF_THE_QUOTA / self.parameters.cpus:
            return None
        return {"instance": self.name, "cpus": self.parameters.cpus, **_named(measured)}

    def heal(self) -> None:
        self.release()


class StarvationParameters(FaultParameters):
    """Parameters of `resource.worker_starvation`."""

    busy: float = Field(
        default=0.8, description="share of the time in which no worker is free", ge=0.5, le=0.95, json_schema_extra={"unit": "ratio"}
    )
    stretch: Duration = Field(
        default=0.5, description="how long none is free at a time", ge=0.2, le=5.0, json_schema_extra={"unit": "duration"}
    )


class WorkerStarvation(ResourceFault[StarvationParameters]):
    """Nobody in the instance gets to a request most of the time: blocked event loops, long collections, threads that wait for a lock."""

    spec = FaultSpec(
        name="resource.worker_starvation",
        summary="Keeps every worker of one instance from working for most of the time, a stretch at a time.",
        kind="pool",
        parameters=StarvationParameters,
        targets=("service", "instance"),
        needs=("Stressable", "Placed"),
        evidence="the slowest of a few round trips takes most of a stretch; gone: all are quick, and no process of it is stopped",
        example="{id: starved, type: resource.worker_starvation, target: retrieval-1, at: fault, for: 30s, with: {busy: 0.8, stretch: 1s}}",
        recoverable_by=("restart", "scale", "failover"),
    )
    clearly, hardly = 0.5, 0.3  # of a stretch

    def undo(self) -> Sequence[Undo]:
        pid = self.instance().pid
        found = identify(pid) if pid is not None else None
        if found is None:
            return ()
        # taken back in reverse: first what stops it
        return (
            Undo("continue", {"pid": found.pid, "create_time_s": found.create_time_s}),
            Undo("terminate_named", {"argument": self.word}),
        )

    def inject(self) -> None:
        if not self.taking:
            busy_s = self.parameters.stretch
            self.take("interrupt", busy_s=busy_s, free_s=busy_s / self.parameters.busy - busy_s)

    def verify(self) -> Evidence | None:
        slowest_s = self._slowest_s(enough_s=self.clearly * self.parameters.stretch)
        if slowest_s < self.clearly * self.parameters.stretch:
            return None
        return {"instance": self.name, "slowest_round_trip_s": slowest_s, "stretch_s": self.parameters.stretch}

    def heal(self) -> None:
        self.release()
        for process in process_tree(pid) if (pid := self.instance().pid) is not None else ():
            with suppress(psutil.NoSuchProcess):
                process.resume()

    def gone(self) -> Evidence | None:
        instance = self.instance()
        if self.taking or psutil.STATUS_STOPPED in tree_states(instance.pid).values():
            return None
        slowest_s = self._slowest_s(enough_s=self.hardly * self.parameters.stretch)
        ready = self.ready() if slowest_s < self.hardly * self.parameters.stretch else None
        return None if ready is None else {**ready, "slowest_round_trip_s": slowest_s}

    def _slowest_s(self, enough_s: float) -> float:
        """Of a few round trips, one after the other, until one is as slow as that. Raises FaultError."""
        question = roundtrip.of_url(self.instance().url)
        timeout_s = 2 * self.parameters.stretch + 1.0
        slowest_s = 0.0
        try:
            for _ in range(6):
                slowest_s = max(slowest_s, roundtrip.once(question, self.context.clock, timeout_s))
                if slowest_s >= enough_s:
                    break
                self.context.clock.sleep(self.parameters.stretch / 6)
        except roundtrip.RoundTripError as error:
            raise FaultError(str(error)) from error
        return slowest_s


def _named(measured: Mapping[str, float]) -> dict[str, Any]:
    return {
        "s_per_s_of_work_beside": measured["beside"],
        "s_per_s_of_work_elsewhere": measured["elsewhere"],
        "times_slower": measured["ratio"],
    }


FAULTS = (CpuStress, CpuThrottle, WorkerStarvation)
