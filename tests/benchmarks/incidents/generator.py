"""Incidents over random call graphs, as an exporter would have recorded them. All of it follows from the seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from harness.ops.diagnosis.graph import Graph
from harness.ops.diagnosis.incident import Incident

Array = np.ndarray
Rng = np.random.Generator
BEFORE_S, AFTER_S = 600.0, 420.0
FAULTS = ("cpu", "memory", "disk", "delay", "loss", "sockets", "errors", "crash")
CONTROL = "none"
# What may be named as the kind of each.
KINDS: Mapping[str, frozenset[str]] = {
    "cpu": frozenset({"cpu"}),
    "memory": frozenset({"memory"}),
    "disk": frozenset({"disk"}),
    "delay": frozenset({"latency", "network"}),
    "loss": frozenset({"network", "latency", "errors"}),
    "sockets": frozenset({"descriptors"}),
    "errors": frozenset({"errors"}),
    "crash": frozenset({"crash"}),
}
_NAMES: tuple[Mapping[str, str], ...] = (
    {
        "cpu": "cpu",
        "memory": "mem",
        "disk": "diskio",
        "sockets": "socket",
        "p50": "latency-50",
        "p90": "latency-90",
        "errors": "error",
        "work": "workload",
    },
    {
        "cpu": "container_cpu_usage_seconds_total",
        "memory": "container_memory_working_set_bytes",
        "disk": "container_fs_writes_bytes_total",
        "sockets": "container_sockets",
        "p50": "istio_request_duration_milliseconds_p50",
        "p90": "istio_request_duration_milliseconds_p95",
        "errors": "istio_requests_5xx",
        "work": "istio_requests_total",
        "rx": "container_network_receive_bytes",
        "drops": "container_network_receive_packets_dropped",
        "threads": "container_threads",
    },
    {
        "cpu": "k8s.pod.cpu.usage",
        "memory": "jvm.memory.used",
        "disk": "k8s.pod.filesystem.usage_rate",
        "p90": "http.server.request.duration.p99",
        "errors": "http.server.request.failures",
        "work": "http.server.request.count",
        "rx": "k8s.pod.network.io",
    },
)


@dataclass(frozen=True, slots=True)
class Case:
    """One incident; `root` is None in a control. `late_s` is how much too late the onset is told."""

    name: str
    fault: str
    root: str | None
    incident: Incident


@dataclass(slots=True)
class _World:
    rng: Rng
    times_s: Array
    services: list[str]
    edges: list[tuple[str, str]]
    onset_s: float
    metrics: dict[str, dict[str, Array]] = field(default_factory=dict)

    @property
    def during(self) -> Array:
        return self.times_s >= self.onset_s

    def wobble(self, cv: float) -> Array:
        return np.exp(cv * self.rng.normal(size=len(self.times_s)))


def case(seed: int, fault: str, late_s: float = 0.0) -> Case:
    """One incident of a kind."""
    rng = np.random.default_rng([seed, [*FAULTS, CONTROL].index(fault)])
    step = float(rng.choice([1, 1, 5, 10, 15]))
    times = np.arange(0, BEFORE_S + AFTER_S + late_s, step)
    services, edges = _graph(rng, int(rng.integers(6, 40)))
    world = _World(rng, times, services, edges, BEFORE_S)
    root = None if fault == CONTROL else str(rng.choice(services[1:]))
    _play(world, fault, root)
    names = _NAMES[int(rng.integers(len(_NAMES)))]
    series = _export(world, names, root, fault)
    slo = (services[0], names["p90"]) if rng.random() < 0.5 else None
    epoch = 1.7e9
    incident = Incident(times + epoch, series, Graph(edges), BEFORE_S + late_s + epoch, slo)
    return Case(f"{fault}/{seed}", fault, root, incident)


def _graph(rng: Rng, size: int) -> tuple[list[str], list[tuple[str, str]]]:
    """A layered graph: everything can be reached from the first service."""
    services = ["front-end", *(f"svc{i}" for i in range(1, size))]
    edges = []
    for i in range(1, size):
        callers = rng.choice(i, size=min(i, int(rng.integers(1, 3))), replace=False)
        edges += [(services[int(c)], services[i]) for c in sorted(callers) if i - int(c) <= max(8, size // 2) or c == 0]
        if not any(callee == services[i] for _, callee in edges):
            edges.append((services[0], services[i]))
    return services, edges


def _play(w: _World, fault: str, root: str | None) -> None:
    rng, during = w.rng, w.during
    load = w.wobble(0.05) * (1 + 0.1 * np.sin(w.times_s / 300 + rng.uniform(0, 6)))
    if rng.random() < 0.35:  # more users, at about the same time: no fault
        load = np.where(w.times_s >= w.onset_s + rng.uniform(-120, 60), load * rng.uniform(1.2, 1.9), load)
    severity = rng.uniform(0.6, 1.6)
    own_ms: dict[str, Array] = {}
    own_errors: dict[str, Array] = {}
    for s in w.services:
        cv = rng.uniform(0.05, 0.35)
        work = rng.uniform(5, 300) * load * w.wobble(0.04)
        slower = 1 + 0.3 * np.maximum(load / load[0] - 1, 0)
        own_ms[s] = rng.uniform(1, 40) * w.wobble(cv) * slower
        own_errors[s] = rng.poisson(rng.choice([0.0, 0.02, 0.2]), len(w.times_s)).astype(float)
        w.metrics[s] = {
            "work": work,
            "cpu": (rng.uniform(0.01, 0.1) + rng.uniform(0.0005, 0.004) * work) * w.wobble(rng.uniform(0.03, 0.2)),
            "memory": rng.uniform(5e7, 2e9) * (1 + 0.01 * np.cumsum(rng.normal(size=len(work))) / np.sqrt(len(work))) * w.wobble(0.002),
            "disk": rng.uniform(1e3, 1e6) * w.wobble(rng.uniform(0.2, 0.8)) * (rng.random(len(work)) < rng.uniform(0.3, 1.0)),
            "sockets": np.round(rng.uniform(5, 60) * w.wobble(0.03)),
            "threads": np.round(rng.uniform(10, 60) * w.wobble(0.01)),
            "rx": work * rng.uniform(500, 5000) * w.wobble(0.05),
            "drops": np.zeros(len(work)),
        }
    _disturb(w, own_errors)
    if root is not None:
        _break(w, fault, root, severity, own_ms, own_errors)
    _propagate(w, own_ms, own_errors, root if fault in ("crash", "errors", "loss") else None, during)


def _disturb(w: _World, own_errors: dict[str, Array]) -> None:
    """What is always the matter somewhere, and no cause: a node that is broken for good, a nightly job, single spikes."""
    rng, n = w.rng, len(w.times_s)
    if rng.random() < 0.4:
        broken = w.metrics[str(rng.choice(w.services[1:]))]
        broken["cpu"] = broken["cpu"] * 8 * w.wobble(0.5)
        own_errors[str(rng.choice(w.services[1:]))] += rng.poisson(4, n)
    if rng.random() < 0.4:
        begin = int(rng.uniform(0.05, 0.35) * n)
        busy = w.metrics[str(rng.choice(w.services[1:]))]
        busy["disk"][begin : begin + n // 12] *= 20
        busy["cpu"][begin : begin + n // 12] *= 2
    for _ in range(3):
        metric = w.metrics[str(rng.choice(w.services))][str(rng.choice(["cpu", "disk", "rx"]))]
        metric[int(rng.integers(n))] *= rng.uniform(3, 20)


def _break(w: _World, fault: str, root: str, severity: float, own_ms: dict[str, Array], own_errors: dict[str, Array]) -> None:
    """The cause, with the side effects that such causes have."""
    rng, m, at = w.rng, w.metrics[root], w.during
    n = int(at.sum())
    if fault == "cpu":
        m["cpu"][at] = m["cpu"][at] * rng.uniform(2, 8) * severity + rng.uniform(0.1, 0.8)
        own_ms[root][at] *= 1 + rng.uniform(0.1, 3) * severity
    elif fault == "memory":
        ramp = np.minimum(1, np.linspace(0, rng.uniform(1, 6), n))
        m["memory"][at] *= 1 + ramp * rng.uniform(0.4, 3) * severity
        m["cpu"][at] *= 1 + rng.uniform(0, 2)
        own_ms[root][at] *= 1 + rng.uniform(0, 1.0)
    elif fault == "disk":
        m["disk"][at] = m["disk"][at] * rng.uniform(5, 40) + rng.uniform(1e6, 1e7) * severity * w.wobble(0.3)[at]
        m["cpu"][at] *= 1 + rng.uniform(0, 1.0)
        m["memory"][at] *= 1 + rng.uniform(0, 0.2)
        own_ms[root][at] *= 1 + rng.uniform(0, 3)
    elif fault == "delay":
        own_ms[root][at] += rng.uniform(20, 400) * severity
        m["work"][at] *= rng.uniform(0.6, 1.0)
        m["cpu"][at] *= rng.uniform(0.7, 1.0)
    elif fault == "loss":
        own_ms[root][at] = own_ms[root][at] * (1 + rng.uniform(0.3, 2)) + 200 * severity * (rng.random(n) < 0.6)
        own_errors[root][at] += rng.poisson(rng.uniform(0, 3), n)
        m["drops"][at] += rng.poisson(rng.uniform(2, 40), n)
        m["rx"][at] *= rng.uniform(0.5, 0.9)
        m["work"][at] *= rng.uniform(0.6, 1.0)
    elif fault == "sockets":
        m["sockets"][at] = np.round(m["sockets"][at] * (1 + rng.uniform(1, 8) * severity))
        m["cpu"][at] *= 1 + rng.uniform(0, 1.5)
        own_ms[root][at] *= 1 + rng.uniform(0, 0.5)
    elif fault == "errors":
        own_errors[root][at] += rng.poisson(m["work"][at] * rng.uniform(0.05, 0.5))
        own_ms[root][at] *= rng.uniform(0.5, 1.3)
    elif fault == "crash":
        own_errors[root][at] += rng.poisson(m["work"][at] * 0.9)
        m["work"][at] *= 0.05


def _propagate(w: _World, own_ms: dict[str, Array], own_errors: dict[str, Array], failing: str | None, during: Array) -> None:
    """Leaves first: what a callee takes and fails, its callers take and fail too; where callers give up, callees are asked less."""
    total, errors = dict(own_ms), dict(own_errors)
    order = {s: i for i, s in enumerate(w.services)}
    for caller in reversed(w.services):
        for callee in sorted({b for a, b in w.edges if a == caller}, key=lambda s: order[s]):
            share = w.rng.uniform(0.5, 1.0)
            total[caller] = total[caller] + share * total[callee]
            errors[caller] = errors[caller] + np.round(w.rng.uniform(0.2, 0.9) * errors[callee])
    if failing is not None:
        for callee in {b for a, b in w.edges if a == failing}:
            w.metrics[callee]["work"][during] *= w.rng.uniform(0.5, 1.0)
    for s in w.services:
        w.metrics[s]["p50"], w.metrics[s]["p90"], w.metrics[s]["errors"] = (
            total[s],
            total[s] * w.rng.uniform(1.3, 3) * w.wobble(0.1),
            errors[s],
        )


def _export(w: _World, names: Mapping[str, str], root: str | None, fault: str) -> dict[tuple[str, str], Array]:
    """Named and scaled as some exporter would, with holes; a dead service exports nothing."""
    rng = w.rng
    unit_ms, unit_bytes = float(rng.choice([1.0, 0.001, 1000.0])), float(rng.choice([1.0, 1e-6]))
    cumulative = rng.random() < 0.3
    series = {}
    for s in w.services:
        for what, name in names.items():
            values = w.metrics[s][what].astype(float)
            values = values * (unit_ms if what in ("p50", "p90") else unit_bytes if what in ("memory", "disk", "rx") else 1.0)
            if cumulative and name.endswith("_total"):
                values = np.cumsum(values)
            values = np.where(rng.random(len(values)) < 0.02, np.nan, values)
            if s == root and fault == "crash":
                values = np.where(w.during, np.nan, values)
            series[(s, name)] = values
    return series
