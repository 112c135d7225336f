"""Faults of memory: little of it is left for an instance, or less and less."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, model_validator

from harness.faults.base import Context, Evidence, FaultError, Target, Undo
from harness.faults.memory_look import memory_of
from harness.faults.resource import MB, ResourceFault
from harness.record.clock import NS_PER_S
from harness.scenario.catalog import FaultParameters, FaultSpec

FIRST_VICTIM = 1000
"""The highest score: the kernel kills it first."""
SETTLES_S = 0.1
GROWS_CLEARLY = 0.5  # of the rate asked for, at least, must show
GROWS_HARDLY = 0.2  # of it, at most, may show when it is gone
APART_S = (0.4, 3.0)
"""Two looks between which growth is measured are so far apart."""


class PressureParameters(FaultParameters):
    """Parameters of `resource.memory_pressure`."""

    memory_mb: int = Field(
        default=384, description="memory that the instance may use, with what runs beside it", ge=64, le=65536,
        json_schema_extra={"unit": "MB"},
    )  # fmt: skip
    left_mb: int = Field(default=24, description="how much of it is left", ge=8, le=4096, json_schema_extra={"unit": "MB"})

    @model_validator(mode="after")
    def _is_less(self) -> PressureParameters:
        if self.left_mb > self.memory_mb / 2:
            raise ValueError("left_mb must be at most half of memory_mb, or there would be no pressure")
        return self


class MemoryPressure(ResourceFault[PressureParameters]):
    """Something beside the instance holds nearly all the memory that it may use."""

    spec = FaultSpec(
        name="resource.memory_pressure",
        summary="Bounds the memory of one instance, and holds all but a little of that beside it: who wants more is killed.",
        kind="memory",
        parameters=PressureParameters,
        targets=("service", "instance"),
        needs=("Limitable", "Stressable", "Placed"),
        evidence="a program beside the instance that wants more than is left is killed, and the instance is not; gone: it gets it",
        example="{id: tight, type: resource.memory_pressure, target: retrieval-1, at: fault, for: 30s, with: {left_mb: 16}}",
        recoverable_by=("restart", "scale", "failover"),
    )

    def undo(self) -> Sequence[Undo]:
        return (Undo("terminate_named", {"argument": self.word}),)

    def inject(self) -> None:
        if self.taking:
            return
        wanted = self.parameters
        self.bound(memory_bytes=wanted.memory_mb * MB)
        held_mb = wanted.memory_mb - wanted.left_mb - self._settled_bytes() // MB
        if held_mb <= 0:
            raise FaultError(f"{self.name} has less than {wanted.left_mb} MB left of {wanted.memory_mb} MB by itself; raise memory_mb")
        self.take("hold", mb=held_mb)

    def verify(self) -> Evidence | None:
        if not self.taking or self._gets_memory() or self.instance().pid is None:
            return None
        held_mb = memory_of(self.place().pid).held_bytes // MB
        return {"instance": self.name, "asked_mb": self._asked_mb, "given": False, "in_use_mb": held_mb, "of_mb": self.parameters.memory_mb}

    def heal(self) -> None:
        self.release()
        self.restart_unless_ready()

    def gone(self) -> Evidence | None:
        ready = self.ready()
        if ready is None or self.taking or not self._gets_memory():
            return None
        return {**ready, "asked_mb": self._asked_mb, "given": True}

    def _settled_bytes(self) -> int:
        """What is in use beside the fault: the kernel still counts, for a moment, what has just been given back."""
        before, now = math.inf, memory_of(self.place().pid).held_bytes
        while before - now >= MB:
            self.context.clock.sleep(SETTLES_S)
            before, now = now, memory_of(self.place().pid).held_bytes
        return now

    @property
    def _asked_mb(self) -> int:
        return 2 * self.parameters.left_mb

    def _gets_memory(self) -> bool:
        """Whether a program beside the instance gets more than is to be left."""
        return self.attempt("hold", mb=self._asked_mb, oom_score=FIRST_VICTIM) is not None


class LeakParameters(FaultParameters):
    """Parameters of `resource.memory_leak`."""

    mb_per_s: int = Field(default=8, description="how fast memory is lost", ge=1, le=1024, json_schema_extra={"unit": "MB/s"})
    memory_mb: int = Field(
        default=512, description="memory that the instance may use; it is killed when all of it is lost", ge=64, le=65536,
        json_schema_extra={"unit": "MB"},
    )  # fmt: skip


class MemoryLeak(ResourceFault[LeakParameters]):
    """More and more of what the instance may use is lost, until the kernel kills it; a restart frees it."""

    spec = FaultSpec(
        name="resource.memory_leak",
        summary="Loses memory of one instance at a steady rate, within a bound; when that is reached, the kernel kills the instance.",
        kind="memory",
        parameters=LeakParameters,
        targets=("service", "instance"),
        needs=("Limitable", "Stressable", "Placed", "Restartable"),
        evidence="the kernel's account of the instance's memory grows from look to look at the rate; gone: it does not, and it is ready",
        example="{id: leak, type: resource.memory_leak, target: retrieval-1, at: fault, for: 40s, with: {mb_per_s: 10, memory_mb: 512}}",
        recoverable_by=("restart", "scale", "failover"),
    )

    def __init__(self, target: Target, parameters: LeakParameters, context: Context) -> None:
        super().__init__(target, parameters, context)
        self._latest: tuple[int, int] | None = None  # (t_ns, bytes)

    def undo(self) -> Sequence[Undo]:
        return (Undo("terminate_named", {"argument": self.word}),)

    def inject(self) -> None:
        if self.taking:
            return
        self._latest = None
        self.bound(memory_bytes=self.parameters.memory_mb * MB)
        kill_first(self.place().pid)
        self.take("hold", mb=self.parameters.memory_mb, mb_per_s=self.parameters.mb_per_s)

    def verify(self) -> Evidence | None:
        grown = self._grown_mb_per_s()
        if not self.taking or grown is None or grown < GROWS_CLEARLY * self.parameters.mb_per_s:
            return None
        return {"instance": self.name, "grows_mb_per_s": grown, "in_use_mb": self._in_use() // MB, "of_mb": self.parameters.memory_mb}

    def heal(self) -> None:
        self.release()
        self.restart_unless_ready()

    def gone(self) -> Evidence | None:
        ready = self.ready()
        if ready is None or self.taking:
            return None
        grown = self._grown_mb_per_s()
        return None if grown is None or grown > GROWS_HARDLY * self.parameters.mb_per_s else {**ready, "grows_mb_per_s": grown}

    def _grown_mb_per_s(self) -> float | None:
        """Since the look before; None where that was not some time ago."""
        now_ns, in_use, before = self.context.clock.now_ns(), self._in_use(), self._latest
        apart_s = (now_ns - before[0]) / NS_PER_S if before is not None else None
        if apart_s is not None and apart_s < APART_S[0]:
            return None
        self._latest = (now_ns, in_use)
        if before is None or apart_s is None or apart_s > APART_S[1]:
            return None
        return (in_use - before[1]) / MB / apart_s

    def _in_use(self) -> int:
        return memory_of(self.place().pid).held_bytes


def kill_first(pid: int) -> None:
    """Let the kernel choose this process when it kills for memory. Raises FaultError."""
    try:
        Path(f"/proc/{pid}/oom_score_adj").write_text(str(FIRST_VICTIM), encoding="ascii")
    except OSError as error:
        raise FaultError(f"process {pid}: {error.strerror}") from error


FAULTS = (MemoryPressure, MemoryLeak)
