"""A build compared with itself does not fail, though its latency wanders; one that is really slower does.

Requests of the same seconds share their fate: their level is an AR(1) process in log latency, one step a second. The figures are shares of
400 runs of 25/s, seeded; a share of 5 % is known to about 2 %.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.record.history import History
from harness.record.requests import REQUEST_DTYPE
from harness.scenario.slis import sli_name
from harness.scenario.units import limit
from harness.score.check import Result, Status
from harness.score.context import Context
from harness.score.relative import Side, judge_relative
from harness.score.spans import of_phase
from tests.history_builder import START_NS, history

RUNS = 400
RATE = 25
BLANK = Result("recovery.latency_p95", "objective", Status.INCONCLUSIVE, "")


def wandering(rng: np.random.Generator, length_s: int, memory: float, sd: float) -> NDArray[np.float64]:
    """Log level of each second; `memory` is the correlation of neighbouring seconds, `sd` the standard deviation of the level."""
    level = np.empty(length_s)
    level[0] = rng.normal()
    for second in range(1, length_s):
        level[second] = memory * level[second - 1] + np.sqrt(1 - memory**2) * rng.normal()
    return sd * level


def run(rng: np.random.Generator, phase_s: int, memory: float, sd: float, slower: float) -> NDArray[Any]:
    """Requests of two phases of equal length; those of the second take `slower` times as long."""
    at_s = np.arange(2 * phase_s * RATE) / RATE
    latency_s = 0.1 * np.exp(wandering(rng, 2 * phase_s, memory, sd)[at_s.astype(int)]) * rng.lognormal(0.0, 0.4, len(at_s))
    latency_s[at_s >= phase_s] *= slower
    rows = np.zeros(len(at_s), dtype=REQUEST_DTYPE)
    rows["seq"] = np.arange(len(at_s))
    rows["intended_ns"] = rows["start_ns"] = START_NS + np.rint(at_s * 1e9).astype(np.int64)
    rows["end_ns"] = rows["intended_ns"] + np.rint(latency_s * 1e9).astype(np.int64)
    return rows


def shares(phase_s: int, memory: float, sd: float, allowance: str, slower: float = 1.0) -> dict[Status, float]:
    rng = np.random.default_rng(20)
    told = history("0s steady_state", f"{phase_s}s recovery", f"{2 * phase_s}s end")
    found: Counter[Status] = Counter()
    for _ in range(RUNS):
        one = History(events=told.events, requests=run(rng, phase_s, memory, sd, slower), journeys=told.journeys)
        asked = limit(f"<= {allowance} of steady_state")
        recovery, steady = (Side(one.in_phase(span.name), of_phase(one, span), Context.of(one)) for span in reversed(one.phases))
        found[judge_relative(BLANK, recovery, steady, sli_name("latency_p95"), asked).status] += 1
    return {status: found[status] / RUNS for status in Status}


@pytest.mark.parametrize("allowance", ["+0%", "+25%"])
@pytest.mark.parametrize(
    ("phase_s", "memory", "sd", "most"),
    [
        (25, 0.0, 0.07, 0.03),  # what the reference stack shows
        (25, 0.5, 0.1, 0.05),
        (25, 0.9, 0.1, 0.07),
        (25, 0.9, 0.3, 0.07),
        (60, 0.95, 0.5, 0.10),  # the level doubles and halves within a phase, with a memory of 20 s
    ],
)
def test_a_run_does_not_fail_against_itself(phase_s: int, memory: float, sd: float, most: float, allowance: str) -> None:
    assert shares(phase_s, memory, sd, allowance)[Status.FAIL] <= most


@pytest.mark.parametrize(
    ("phase_s", "memory", "sd", "allowance", "slower", "found"),
    [
        (25, 0.0, 0.07, "+25%", 1.5, 0.95),
        (25, 0.5, 0.1, "+25%", 1.5, 0.80),
        (25, 0.5, 0.1, "+25%", 2.0, 0.95),
        (60, 0.5, 0.1, "+10%", 1.25, 0.85),
        (60, 0.9, 0.1, "+10%", 1.5, 0.85),
    ],
)
def test_a_slower_run_fails(phase_s: int, memory: float, sd: float, allowance: str, slower: float, found: float) -> None:
    told = shares(phase_s, memory, sd, allowance, slower)
    assert told[Status.FAIL] >= found
    assert told[Status.PASS] <= 0.02
