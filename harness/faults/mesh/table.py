"""Which fault of the catalogue is which object of Chaos Mesh. What is not here it cannot do, or not as it is meant: docs/kubernetes.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import create_model, model_validator

from harness.faults import (
    cache,
    clock,
    database,
    network,
    network_cut,
    network_names,
    network_pace,
    process,
    process_loops,
    process_stop,
    resource_cpu,
    resource_disk,
    resource_memory,
)
from harness.faults.mesh.edges import CutOff, Late, Lossy, Misled, Nameless
from harness.faults.mesh.fault import MeshFault
from harness.faults.mesh.pods import Busy, NoRoom, Replaced, Tight, Unready, Untimely
from harness.scenario.catalog import FaultParameters, FaultSpec

ENOSPC = 28
_DIRECTIONS = {"upstream": "to", "downstream": "from", "both": "both"}
"""Questions go to the callee, answers come from it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One fault: its object, what of the object's `spec` says what is done, and how it is proved.

    `fixed` are parameters that have no counterpart: they must be left as they are.
    """

    spec: FaultSpec
    kind: str
    wanted: Callable[[Any], Mapping[str, Any]]
    proof: type[MeshFault[Any]]
    evidence: str
    fixed: tuple[str, ...] = ()


def _delay(wanted: Any) -> dict[str, Any]:
    delay = {"latency": _ms(wanted.delay), "jitter": _ms(wanted.jitter), "correlation": "0"}
    return {"action": "delay", "direction": _DIRECTIONS[wanted.direction], "delay": delay}


def _loss(wanted: Any) -> dict[str, Any]:
    loss = {"loss": f"{wanted.rate * 100:g}", "correlation": "0"}
    return {"action": "loss", "direction": _DIRECTIONS[wanted.direction], "loss": loss}


_REPLACED = "the pod's uid is gone from the API server; gone: the object is deleted, the readiness probe succeeds"
_UNREADY = "the readiness probe fails, and succeeded before; gone: the object is deleted, the probe succeeds"
_DATED = "the date of its answers is off by the offset; gone: the object is deleted, the date is right"

ROWS: tuple[Row, ...] = (
    Row(process.ProcessKill.spec, "PodChaos", lambda _: {"action": "pod-kill", "gracePeriod": 0}, Replaced, _REPLACED),
    Row(
        process_stop.ProcessStop.spec,
        "PodChaos",
        lambda wanted: {"action": "pod-kill", "gracePeriod": max(1, round(wanted.grace))},
        Replaced,
        _REPLACED,
    ),
    Row(cache.CacheDown.spec, "PodChaos", lambda _: {"action": "pod-failure"}, Unready, _UNREADY),
    Row(database.DatabaseDown.spec, "PodChaos", lambda _: {"action": "pod-failure"}, Unready, _UNREADY),
    Row(
        resource_cpu.CpuStress.spec,
        "StressChaos",
        lambda wanted: {"stressors": {"cpu": {"workers": wanted.workers, "load": 100}}},
        Busy,
        "its control group uses the processors that it may, by its own counters; gone: the object is deleted, it does not",
        fixed=("cpus",),  # the limit is the pod's
    ),
    Row(
        resource_memory.MemoryPressure.spec,
        "StressChaos",
        lambda _: {},  # how much it takes depends on what is left then
        Tight,
        "its control group has as little memory left as asked, by its own counters; gone: the object is deleted, it has more",
        fixed=("memory_mb",),  # likewise
    ),
    Row(
        resource_disk.DiskFull.spec,
        "IOChaos",
        lambda _: {"action": "fault", "errno": ENOSPC, "methods": ["WRITE"], "percent": 100},
        NoRoom,
        "a write in its data folder, from inside of its pod, is refused for want of room; gone: the object is deleted, it is carried out",
        fixed=("left_kb",),
    ),
    Row(clock.ClockJump.spec, "TimeChaos", lambda wanted: {"timeOffset": _ms(wanted.offset)}, Untimely, _DATED),
    Row(
        network.NetworkLatency.spec,
        "NetworkChaos",
        _delay,
        Late,
        "timed round trips from the caller's pod against those before; gone: the object is deleted, they take as long as before",
    ),
    Row(
        network_pace.NetworkLoss.spec,
        "NetworkChaos",
        _loss,
        Lossy,
        "a round trip from the caller's pod waits for something to be sent again, and none did before; gone: none of 12 does",
        fixed=("burst",),  # netem's correlation is no Gilbert-Elliott model
    ),
    Row(
        network_cut.NetworkPartition.spec,
        "NetworkChaos",
        lambda wanted: {"action": "partition", "direction": _DIRECTIONS[wanted.direction]},
        CutOff,
        "a question from the caller's pod is not answered, and was before; gone: the object is deleted, it is answered",
    ),
    Row(
        network_names.NetworkDnsFailure.spec,
        "DNSChaos",
        lambda _: {"action": "error"},
        Nameless,
        "the callee's name, looked up in the caller's pod, leads nowhere, and led to its pods before; gone: it does again",
    ),
    Row(
        network_names.NetworkDnsWrong.spec,
        "DNSChaos",
        lambda _: {"action": "random"},
        Misled,
        "the callee's name, looked up in the caller's pod, leads to others than its pods; gone: it leads to those",
    ),
)
"""In the order of the catalogue."""

UNSEEN: tuple[FaultSpec, ...] = (process_loops.RestartStorm.spec,)
"""Faults that the cluster's capabilities would allow, but that are told by processes of this machine: nothing would ever prove them."""


def _ms(seconds: float) -> str:
    """As Go writes durations."""
    return f"{round(seconds * 1000)}ms"


def _parameters(row: Row) -> type[FaultParameters]:
    """Those of the fault; without a choice where Chaos Mesh has none."""
    base = row.spec.parameters
    if not row.fixed:
        return base

    def left_alone(self: FaultParameters) -> FaultParameters:
        for name in row.fixed:
            if name in self.model_fields_set and getattr(self, name) != base.model_fields[name].default:
                raise ValueError(f"{row.kind} cannot be told {name}; leave it out")
        return self

    validators: dict[str, Any] = {"left_alone": model_validator(mode="after")(left_alone)}
    return create_model(base.__name__, __base__=base, __validators__=validators, __doc__=base.__doc__)


def _made(row: Row) -> type[MeshFault[Any]]:
    """The class of a row."""
    spec = replace(row.spec, needs=("Meshed",), either=(), evidence=row.evidence, parameters=_parameters(row))
    return type(row.proof.__name__, (row.proof,), {"spec": spec, "kind": row.kind, "wanted": staticmethod(row.wanted)})


CLASSES: Mapping[str, type[MeshFault[Any]]] = {row.spec.name: _made(row) for row in ROWS}
"""By the fault's name."""
SPECS: Mapping[str, FaultSpec] = {name: kind.spec for name, kind in CLASSES.items()} | {  # type: ignore[attr-defined]  # set just now
    spec.name: replace(spec, needs=(*spec.needs, "Placed")) for spec in UNSEEN
}
"""What is said otherwise of faults on a stack with Chaos Mesh."""
