"""Records of two versions, for the tests of what compares them: 25 requests a second around 0.4 s, of which 0.2 % fail."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.record.history import History
from harness.record.requests import NOTHING, REQUEST_DTYPE, Outcome
from harness.scenario.model import Scenario
from harness.score.versions import Arm
from tests.history_builder import START_NS, history, questions, scenario

RATE = 25
HOST = {"cpus": 4, "memory_bytes": 8 << 30, "machine": "x86_64", "cpu": "A processor", "kernel": "6.1", "python": "3.11.2"}


def requests(seed: int, length_s: int, *, slower: float = 1.0, failing: float = 0.002, lost: float = 0.0, rate: int = RATE) -> NDArray[Any]:
    """Questions over `length_s`. `slower` multiplies every duration; a share `lost` of the answers misses its document."""
    rng = np.random.default_rng(seed)
    count = length_s * rate
    rows = np.zeros(count, dtype=REQUEST_DTYPE)
    rows["seq"] = np.arange(count)
    rows["intended_ns"] = rows["start_ns"] = START_NS + np.arange(count) * 1_000_000_000 // rate
    rows["end_ns"] = rows["intended_ns"] + np.rint(0.4e9 * rng.lognormal(0.0, 0.3, count) * slower).astype(np.int64)
    rows["outcome"] = np.where(rng.random(count) < failing, Outcome.ERROR, Outcome.OK)
    rows["question"] = np.arange(count) % 10
    rows["degraded"] = rows["preferred"] = -1
    rows["canary"] = np.where(rows["outcome"] == Outcome.OK, 1, -1)
    rows["refused"] = np.where(rows["outcome"] == Outcome.OK, 0, -1)
    rows["sources"], rows["citations"] = NOTHING, NOTHING
    rows["sources"][:, 0] = np.where(rng.random(count) < lost, 99, rows["question"])
    return rows


def record(rows: NDArray[Any], length_s: int, *, started: str = "2026-01-01T10:00:00+00:00", **run: Any) -> History:
    """A whole run of one phase."""
    facts = {"host": HOST, "clock": {"utc": started}, "git": {"sha": "a" * 40, "dirty": False}, **run}
    return history("0s steady_state", f"{length_s}s end", requests=rows, questions=questions(), documents=100, run=facts)


def asked(length_s: int, **fields: Any) -> Scenario:
    """The scenario of such a run."""
    phases = {"steady_state": f"{length_s}s"}
    return scenario(**{"phases": phases, "operator": {"enabled": False}, **fields})


def arm(seed: int, length_s: int = 600, *, started: str = "2026-01-01T10:00:00+00:00", compare: Any = None, **changes: Any) -> Arm:
    """One of two runs that follow one another."""
    return Arm(record(requests(seed, length_s, **changes), length_s, started=started), asked(length_s, compare=compare))


def beside(seed: int, length_s: int = 600, *, compare: Any = None, **changes: Any) -> tuple[History, Scenario]:
    """One run that served both versions; `changes` are the candidate's."""
    base, candidate = requests(seed, length_s), requests(seed + 1, length_s, **changes)
    theirs = np.random.default_rng(seed).permuted(np.tile([False, True, True, False], (len(base) // 4 + 1, 1)), axis=1).ravel()[: len(base)]
    rows = np.where(theirs, candidate, base)
    rows["side"] = theirs
    spec = asked(length_s, compare={"candidate": {"version": "2"}, **(compare or {})})
    return record(rows, length_s), spec
