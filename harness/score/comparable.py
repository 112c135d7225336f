"""May two runs be compared at all? Where they were not asked the same, or not on the same machine, a difference is nobody's fault."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from harness.record.history import History
from harness.record.requests import REQUEST_DTYPE
from harness.scenario.model import Scenario

MACHINE = ("machine", "cpu", "cpus", "memory_gib")
_SAME = ("load", "phases", "faults", "operator", "time_scale")  # of the scenarios; what a version is may differ


def machine(history: History) -> dict[str, Any] | None:
    """What makes two machines alike for a comparison; None where the record does not say."""
    host = history.run.get("host")
    if not isinstance(host, Mapping) or not all(name in host for name in ("machine", "cpus", "memory_bytes")):
        return None
    memory_gib = round(float(host["memory_bytes"]) / 2**30)
    return {"machine": host["machine"], "cpu": host.get("cpu", ""), "cpus": host["cpus"], "memory_gib": memory_gib}


def described(found: Mapping[str, Any]) -> str:
    """A machine in words."""
    return f"{found['cpus']} x {found['cpu'] or found['machine']}, {found['memory_gib']} GiB"


def obstacles(base: tuple[History, Scenario], candidate: tuple[History, Scenario]) -> Iterator[str]:
    """Why nothing can be concluded from comparing them; nothing for two runs that can be."""
    if any(serves_two(scenario) for _, scenario in (base, candidate)):
        yield "a run that served two versions is a comparison itself, and stands for neither of them: its own verdict tells"
    if _same_record(base[0], candidate[0]):
        yield "both sides are one and the same record, which has nothing to say about itself"
    if reason := elsewhere(base[0], candidate[0]):
        yield reason
    for part in _SAME:
        if _plain(base[1], part) != _plain(candidate[1], part):
            yield f"their scenarios differ in `{part}`: the two were not asked the same"


def elsewhere(base: History, candidate: History) -> str | None:
    """Why they count as made on different machines; None for one and the same, or one like it."""
    machines = [machine(history) for history in (base, candidate)]
    told = [described(found) for found in machines if found is not None]
    if len(told) < 2:
        return "a record does not say on which machine it was made"
    if machines[0] != machines[1]:
        return f"they ran on different machines ({told[0]}; {told[1]}), which differ by more than versions do"
    return None


def order(base: History, candidate: History) -> int:
    """-1 where the candidate ran before the base, by the wall clock; else 1."""
    began = [str(history.run.get("clock", {}).get("utc", "")) for history in (base, candidate)]
    return -1 if began[1] < began[0] else 1


def serves_two(scenario: Scenario) -> bool:
    """Did it serve a candidate beside the base?"""
    return scenario.compare is not None and scenario.compare.candidate is not None


def remarks(base: History, candidate: History) -> Iterator[str]:
    """What a reader should know beside the verdict."""
    for name, what in (("kernel", "kernels"), ("python", "Python versions")):
        values = [history.run.get("host", {}).get(name) for history in (base, candidate)]
        if values[0] != values[1]:
            yield f"different {what}: {values[0]}, {values[1]}"
    shas = [str(history.run.get("git", {}).get("sha")) for history in (base, candidate)]
    dirty = [history.run.get("git", {}).get("dirty") for history in (base, candidate)]
    if shas[0] == shas[1] and not any(dirty):
        yield f"both are of commit {shas[0][:7]}"
    if any(dirty):
        yield "the working tree had changes that no commit names"


def _same_record(base: History, candidate: History) -> bool:
    if base.run.get("clock") is not None and base.run.get("clock") == candidate.run.get("clock"):
        return True
    if not len(base.requests) or len(base.requests) != len(candidate.requests):
        return False
    columns = ("end_ns", *(REQUEST_DTYPE.names or ()))  # by its ends, one run is told from another at the first look
    return all(np.array_equal(base.requests[name], candidate.requests[name]) for name in columns)


def _plain(scenario: Scenario, part: str) -> Any:
    return scenario.model_dump(mode="json", by_alias=True)[part]
