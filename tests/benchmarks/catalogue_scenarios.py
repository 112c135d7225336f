"""Scenarios that go through the catalogue of faults: many faults one after another in one run, and nothing at all for control."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

import yaml

from harness.faults.registry import CATALOG
from harness.scenario.catalog import FaultSpec

FAULT_S = 15
RECOVERY_S = 15
WARMUP_S = 10
STEADY_S = 40
TIME_SCALE = 2.0  # the operator looks twice a second
RATE = "10/s"
NO_RECOVERY = [sys.executable, "-m", "harness.ops", "{targets}", "--dry-run"]
# What the stack of the sweep does not have: nodes of a swarm, and TLS in front.
_ELSEWHERE = ("host", "credentials.tls_certificate_expired")


def order(seed: int, only: Sequence[str] = ()) -> list[FaultSpec]:
    """The faults that the stack of processes takes, shuffled; `only` are families or names."""
    there = [s for s in CATALOG.values() if s.family not in _ELSEWHERE and s.name not in _ELSEWHERE]
    chosen = [s for s in there if not only or s.family in only or s.name in only]
    Random(seed).shuffle(chosen)
    return chosen


def batches(specs: Iterable[FaultSpec], size: int) -> list[list[FaultSpec]]:
    """At most `size` faults a run, in their order; those of a vector store need one, so they have runs of their own."""
    listed = list(specs)
    found = []
    for part in ([s for s in listed if s.family != "vector"], [s for s in listed if s.family == "vector"]):
        found += [part[start : start + size] for start in range(0, len(part), size)]
    return found


def scenario(name: str, specs: Sequence[FaultSpec], *, recovery: bool = True) -> str:
    """The text of a scenario that plays one fault each half minute."""
    document = _frame(name, "Each fault is noticed, the right service is named, and what can be healed is healed.", specs)
    document["phases"] |= {"fault": f"{len(specs) * (FAULT_S + RECOVERY_S)}s", "recovery": f"{RECOVERY_S}s"}
    document["faults"] = [_use(spec, n * (FAULT_S + RECOVERY_S)) for n, spec in enumerate(specs)]
    if not recovery:
        document["operator"] = {"command": NO_RECOVERY}
    return yaml.safe_dump(document, sort_keys=False)


def calm(minutes: int) -> str:
    """The text of a scenario in which nothing is broken."""
    document = _frame("catalogue-null", "Nothing is broken, and nothing is said.", ())
    document["phases"]["steady_state"] = f"{minutes * 60}s"
    return yaml.safe_dump(document, sort_keys=False)


def _frame(name: str, hypothesis: str, specs: Sequence[FaultSpec]) -> dict[str, Any]:
    stack: dict[str, Any] = {"use": "reference", "replicas": {"retrieval": 2, "generation": 2}}
    if any(s.family == "vector" for s in specs):
        stack["vector_store"] = "qdrant"
    return {
        "name": name,
        "hypothesis": hypothesis,
        "stack": stack,
        "load": {"shape": [{"constant": RATE}], "mix": {"ask": 5, "ask_stream": 3, "ingest": 2}, "timeout": "8s"},
        "phases": {"warmup": f"{WARMUP_S}s", "steady_state": f"{STEADY_S}s"},
        "time_scale": TIME_SCALE,
        "expect": [{"false_alarms": 0, "needless_actions": 0}],
        "objectives": {"steady_state": {"availability": ">= 98%", "latency_p95": "<= 1500ms", "answered": ">= 90%"}},
    }


def _use(spec: FaultSpec, offset_s: int) -> dict[str, Any]:
    """The example that the catalogue itself gives, at its place in the run."""
    example: dict[str, Any] = yaml.safe_load(spec.example.partition("  #")[0])
    name = spec.name.replace(".", "-").replace("_", "-")
    return {**example, "id": name, "at": f"fault+{offset_s}s", "for": f"{FAULT_S}s"}
